"""Batch scoring with a release that uses optional inputs."""

from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from skyclass.ingest.job import ingest
from skyclass.registry.libraries import get_library_versions
from skyclass.registry.manifest import BandScores
from skyclass.registry.models import download_model
from skyclass.registry.releases import (
    DOMAIN,
    DUST_MAP,
    JOBLIB_MODEL,
    Registry,
    Release,
)
from skyclass.scoring.inputs import open_input
from skyclass.scoring.result import ScoringResult
from skyclass.scoring.score import score
from skyclass.settings import Settings
from skyclass.sources import open_source
from skyclass.sources.dust_map import read_dust_map
from skyclass.sources.simulated import draw
from skyclass.storage.delta import KeyedTable
from skyclass.storage.s3 import ObjectStore
from skyclass.storage.table_spec import Watermark
from skyclass.survey.dust import fill_extinction
from skyclass.survey.features import (
    ALL_INPUTS,
    FEATURES,
    GROUP_FEATURES,
    InputGroup,
    Mode,
    make_features,
)
from skyclass.survey.observation import Era
from skyclass.tables.log.schema import PROBABILITIES
from skyclass.tables.observations import ObservationsTable
from skyclass.tables.predictions import SCHEMA, SPEC
from skyclass.training.uncertainty.domain_fit import fit_domain
from tests.support.releases import draft
from tests.support.scoring import publish_tree, read_predictions

MODE = Mode.PHOTOMETRIC
GROUPS = (InputGroup.EXTINCTION, InputGroup.PSF, InputGroup.WISE)
NAMES = (*FEATURES[MODE], *(name for group in GROUPS for name in GROUP_FEATURES[group]))


def get_inputs(rows: pd.DataFrame) -> np.ndarray:
    return rows.reindex(columns=list(ALL_INPUTS[MODE])).to_numpy(np.float64)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rows = draw(Era.BOSS, 0, 600, 0, groups=(InputGroup.PSF, InputGroup.WISE)).to_pandas()
    rows.loc[:99, ["psf_u", "psf_g", "psf_r", "psf_i", "psf_z"]] = np.nan
    rows.loc[50:149, ["w1", "w2"]] = np.nan
    return rows.sort_values(["plate", "mjd", "fiber_id"], ignore_index=True)


@pytest.fixture(scope="module")
def files(rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a release with optional groups, its domain and the dust map."""
    folder = tmp_path_factory.mktemp("release")
    features = make_features(fill_extinction(get_inputs(rows), MODE, read_dust_map()), MODE, NAMES)
    model = HistGradientBoostingClassifier(max_iter=10, random_state=0).fit(features, rows["class"])
    joblib.dump(model, folder / JOBLIB_MODEL)
    read_dust_map().save(folder / DUST_MAP)
    domain = fit_domain(features, features, NAMES, 0)
    assert domain is not None
    (folder / DOMAIN).write_bytes(domain.to_bytes())
    return folder


@pytest.fixture
def release(files: Path, store: ObjectStore) -> Release:
    manifest = draft(
        MODE,
        features=NAMES,
        libraries=get_library_versions(),
        missing_bands={"u": BandScores(rows=100, accuracy=0.8, macro_f1=0.8)},
    )
    names = (JOBLIB_MODEL, DUST_MAP, DOMAIN)
    return Registry(store).publish(manifest, {name: files / name for name in names})


def score_rows(
    store: ObjectStore, release: Release, rows: pd.DataFrame, folder: Path
) -> ScoringResult:
    pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), folder / "a.parquet")
    result = score(store.settings, open_input(store.settings, str(folder / "a.parquet")), release)
    assert result.is_balanced
    return result


def test_predictions_use_the_optional_inputs_of_a_file(
    store: ObjectStore, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    score_rows(store, release, rows.rename(columns={"psf_r": "psfMag_r", "w1": "w1mpro"}), tmp_path)
    found = read_predictions(store.settings, release)
    model = download_model(Registry(store), release)
    expected = model.predict_probabilities(get_inputs(rows))
    assert np.array_equal(found[list(PROBABILITIES)].to_numpy(), expected)
    assert model.domain is not None
    outside = model.domain.find_outside(model.compute_features(get_inputs(rows)), NAMES)
    assert found["out_of_domain"].tolist() == outside.tolist()


def test_groups_of_each_prediction_are_stored(
    store: ObjectStore, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    some = rows.drop(columns=["alpha", "delta"]).head(3).reset_index(drop=True)
    some.loc[:, ["psf_u", "psf_g", "psf_r", "psf_i", "psf_z", "w1", "w2"]] = [
        [20, 19, 18, 17, 16, 15, 14.5],
        [20, 19, 18, 17, 16, np.nan, np.nan],
        [np.nan] * 7,
    ]
    score_rows(store, release, some, tmp_path)
    found = read_predictions(store.settings, release)
    assert found["groups"].tolist() == ["psf wise", "psf", ""]


def test_position_gives_the_extinction(
    store: ObjectStore, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    some = rows.head(5)[["plate", "mjd", "fiber_id", "alpha", "delta", *"ugriz"]]
    score_rows(store, release, some.rename(columns={"alpha": "ra", "delta": "dec"}), tmp_path)
    assert set(read_predictions(store.settings, release)["groups"]) == {"extinction"}


def test_dereddened_magnitudes_have_no_extinction(
    store: ObjectStore, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    some = rows.head(5)[["plate", "mjd", "fiber_id", "alpha", "delta", *"ugriz"]]
    some = some.reset_index(drop=True)
    renamed = some.rename(columns={band: f"dered_{band}" for band in "ugriz"})
    score_rows(store, release, renamed, tmp_path)
    found = read_predictions(store.settings, release)[list(PROBABILITIES)].to_numpy()
    model = download_model(Registry(store), release)
    inputs = get_inputs(some.assign(extinction_r=0.0))
    assert np.array_equal(found, model.predict_probabilities(inputs))


def test_dereddened_magnitudes_have_no_extinction_even_if_a_column_is_named(
    store: ObjectStore, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    some = rows.head(5)[["plate", "mjd", "fiber_id", *"ugriz"]].assign(a_r=0.3)
    renamed = some.rename(columns={band: f"dered_{band}" for band in "ugriz"})
    pq.write_table(pa.Table.from_pandas(renamed, preserve_index=False), tmp_path / "a.parquet")
    address = f"{tmp_path / 'a.parquet'}?extinction_r=a_r"
    assert score(store.settings, open_input(store.settings, address), release).inserted == 5
    found = read_predictions(store.settings, release)[list(PROBABILITIES)].to_numpy()
    model = download_model(Registry(store), release)
    inputs = get_inputs(some.assign(extinction_r=0.0))
    assert np.array_equal(found, model.predict_probabilities(inputs))


def test_required_inputs_alone_are_scored(
    store: ObjectStore, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    some = rows[["plate", "mjd", "fiber_id", *"ugriz"]]
    assert score_rows(store, release, some, tmp_path).inserted == len(rows)
    assert set(read_predictions(store.settings, release)["groups"]) == {""}


def test_invalid_optional_input_is_not_used(
    store: ObjectStore, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    some = rows.head(2)[["plate", "mjd", "fiber_id", *"ugriz"]].astype(str)
    some = some.assign(w1=["faint", "-9999"], w2=["99", "1500"], ra=["14:39:36", "10"], dec="2")
    result = score_rows(store, release, some, tmp_path)
    assert (result.inserted, result.incomplete) == (2, 0)
    assert read_predictions(store.settings, release)["groups"].tolist() == ["", "extinction"]


def test_row_without_a_band_is_scored_if_the_release_can_do_without(
    store: ObjectStore, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    some = rows.head(5).reset_index(drop=True)
    some.loc[0, "u"], some.loc[1, "u"], some.loc[2, "g"] = np.nan, -9999, np.nan
    some.loc[3, ["u", "g"]] = np.nan
    result = score_rows(store, release, some, tmp_path)
    assert (result.inserted, result.incomplete) == (3, 2)
    assert read_predictions(store.settings, release)["u"].isna().sum() == 2


def test_infinite_magnitude_is_not_measured(
    store: ObjectStore, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    some = rows.head(2).assign(u=[np.inf, np.nan]).reset_index(drop=True)
    assert score_rows(store, release, some, tmp_path).inserted == 2
    found = read_predictions(store.settings, release)[list(PROBABILITIES)].to_numpy()
    model = download_model(Registry(store), release)
    expected = model.predict_probabilities(get_inputs(some.assign(u=np.nan)))
    assert np.array_equal(found, expected)


def test_observations_table_gives_its_optional_inputs(
    store: ObjectStore, release: Release, table: ObservationsTable
) -> None:
    ingest(open_source("simulated:?rows=30&era=boss&groups=psf", store), table, store)
    score(store.settings, open_input(store.settings, "table:"), release)
    assert set(read_predictions(store.settings, release)["groups"]) == {"extinction psf"}


class OldPredictions(KeyedTable):
    """The table as version 0.1 wrote it."""

    def __init__(self, settings: Settings) -> None:
        added = ("groups", "out_of_domain")
        schema = pa.schema([field for field in SCHEMA if field.name not in added])
        values = tuple(name for name in SPEC.values if name not in added)
        super().__init__(settings, replace(SPEC, schema=schema, values=values))


@pytest.fixture
def old_release(store: ObjectStore, tmp_path: Path) -> Release:
    """A release without optional inputs whose predictions are in a table of version 0.1."""
    release = publish_tree(store, tmp_path / "old", MODE)
    row = {"source_id": 7, "plate": 0, "mjd": 0, "fiber_id": 0, "model_version": release.id}
    old = OldPredictions(store.settings)
    schema = pa.schema([field for field in SCHEMA if field.name in old._spec.schema.names])
    old.merge(pa.Table.from_pylist([row], schema=schema), Watermark("old", 0, 1))
    return release


def test_old_table_is_unchanged_by_a_release_without_optional_inputs(
    store: ObjectStore, old_release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    assert score_rows(store, old_release, rows.head(3), tmp_path).inserted == 3
    stored = OldPredictions(store.settings)._open(None).schema()
    assert "groups" not in [field.name for field in stored.fields]


def test_old_table_gets_the_columns_of_a_release_with_optional_inputs(
    store: ObjectStore, old_release: Release, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    score_rows(store, release, rows.head(3), tmp_path)
    assert read_predictions(store.settings, release)["groups"].notna().all()
    assert read_predictions(store.settings, old_release)["groups"].tolist() == [None]
