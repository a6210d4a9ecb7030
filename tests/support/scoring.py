"""Releases of tiny models, and the predictions table, for tests of batch scoring."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from skyclass.registry.libraries import get_library_versions
from skyclass.registry.releases import JOBLIB_MODEL, ONNX_MODEL, REFERENCE, Registry, Release
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.predictions import SCHEMA, PredictionsTable
from skyclass.training.fit import fit
from tests.support.datasets import make_simulated_dataset
from tests.support.monitoring import write_reference
from tests.support.releases import draft


def publish_tree(
    store: ObjectStore, folder: Path, mode: Mode, seed: int = 0, **changes: Any
) -> Release:
    """Fit a decision tree on rows of the first era and publish it, with these as its reference."""
    dataset = make_simulated_dataset(mode, rows=900)
    fitted = fit(dataset, ["decision_tree"], seed, folder, budget_seconds=0)
    write_reference(folder, dataset.rows)
    libraries = get_library_versions()
    manifest = draft(mode, parity=fitted.parity, libraries=libraries, run_id=f"{seed}", **changes)
    names = (JOBLIB_MODEL, ONNX_MODEL, REFERENCE)
    return Registry(store).publish(manifest, {name: folder / name for name in names})


def read_predictions(settings: Settings, release: Release) -> pd.DataFrame:
    """Read the predictions of a release, ordered by key, without the column `scored_at`."""
    columns = [name for name in SCHEMA.names if name != "scored_at"]
    schema = pa.schema([SCHEMA.field(name) for name in columns])
    batches = PredictionsTable(settings).read_batches(release.id, columns)
    rows = pa.Table.from_batches(batches, schema)
    key = [(name, "ascending") for name in ("source_id", "plate", "mjd", "fiber_id")]
    return rows.sort_by(key).to_pandas()
