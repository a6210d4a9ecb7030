"""Publishes a model for a benchmark: any candidate, fitted to simulated rows."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from skyclass.registry.libraries import get_library_versions
from skyclass.registry.manifest import Manifest, TrainingSet
from skyclass.registry.releases import DOMAIN, JOBLIB_MODEL, ONNX_MODEL, Registry, Release
from skyclass.registry.verdicts import GateVerdict
from skyclass.sources.simulated import draw
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import FEATURES, INPUTS, Mode, make_features
from skyclass.survey.observation import CLASSES, MEASUREMENTS, NOT_MEASURED, Era
from skyclass.training.candidates import CANDIDATES
from skyclass.training.export import export
from skyclass.training.uncertainty.domain_fit import fit_domain

TRAINING_ROWS = 20_000
_PARITY_ROWS = 5_000


def publish_model(
    store: ObjectStore, mode: Mode, candidate: str, folder: Path
) -> tuple[Release, npt.NDArray[np.float64]]:
    """Fit a candidate to rows of the Legacy era and publish it, with its domain.

    Args:
        store: Its buckets exist.
        mode: The mode of the model.
        candidate: A name in `CANDIDATES`.
        folder: Where the model files are written.

    Returns:
        The release, and the inputs that it was fitted to: shape (n, len(INPUTS[mode])).
    """
    rows = draw(Era.LEGACY, 0, TRAINING_ROWS, 0).to_pandas()
    rows = rows[(rows[list(MEASUREMENTS)] != NOT_MEASURED).all(axis=1)]
    inputs = rows[list(INPUTS[mode])].to_numpy()
    features = make_features(inputs, mode)
    model = CANDIDATES[candidate].make(0).fit(features, rows["class"].to_numpy())
    parity = export(model, features[:_PARITY_ROWS], folder)
    manifest = Manifest(
        mode=mode,
        candidate=candidate,
        inputs=INPUTS[mode],
        features=FEATURES[mode],
        classes=CLASSES,
        libraries=get_library_versions(),
        training_set=TrainingSet(
            table="simulated",
            version=0,
            rows=len(rows),
            first_mjd=int(rows["mjd"].min()),
            watermark=int(rows["mjd"].max()),
            synthetic_rows=len(rows),
        ),
        metrics={},
        parity=parity,
        gate=GateVerdict(passed=True, reason="benchmark", challenger_macro_f1=0, rows=0),
        parent=None,
        run_id="benchmark",
        created_at=datetime.now(UTC),
        files=(),
    )
    if domain := fit_domain(features, features[:_PARITY_ROWS], FEATURES[mode], seed=0):
        (folder / DOMAIN).write_bytes(domain.to_bytes())
    names = (JOBLIB_MODEL, ONNX_MODEL, DOMAIN)
    files = {name: folder / name for name in names if (folder / name).exists()}
    return Registry(store).publish(manifest, files), inputs
