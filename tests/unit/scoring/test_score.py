"""Scoring of Delta tables and Parquet files: predictions, idempotency and error messages."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from skyclass.errors import CatalogError, ReleaseError
from skyclass.ingest.job import ingest
from skyclass.registry.models import download_model
from skyclass.registry.releases import Registry, Release
from skyclass.scoring import chunks, inputs
from skyclass.scoring.inputs import open_input
from skyclass.scoring.result import ScoringResult
from skyclass.scoring.score import find_release, score
from skyclass.scoring.shards import Shard
from skyclass.sources import open_source
from skyclass.sources.simulated import draw
from skyclass.storage import parts as storage_parts
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import CLASSES, KEY, Era
from skyclass.tables.log.schema import PROBABILITIES
from skyclass.tables.observations import ObservationsTable
from skyclass.tables.predictions import PredictionsTable
from tests.support.scoring import publish_tree, read_predictions


def score_uri(store: ObjectStore, uri: str, release: Release, shard: str = "0/1") -> ScoringResult:
    settings = store.settings
    result = score(settings, open_input(settings, uri), release, Shard.parse(shard))
    assert result.is_balanced
    return result


def write_parquet(
    folder: Path, rows: pd.DataFrame, name: str = "a.parquet", groups: int = 100
) -> str:
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pandas(rows), folder / name, row_group_size=groups)
    return str(folder / name)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 70)
    monkeypatch.setattr(inputs, "PIECE_ROWS", 150)
    monkeypatch.setattr(storage_parts, "PART_ROWS", 140)


@pytest.fixture
def rows() -> pd.DataFrame:
    return draw(Era.BOSS, 0, 500, 0).to_pandas()


def test_predictions_equal_those_of_the_model(
    store: ObjectStore, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    result = score_uri(store, write_parquet(tmp_path, rows), release)
    assert (result.rows_in, result.inserted) == (500, 500)
    found = read_predictions(store.settings, release)
    rows = rows.sort_values(["plate", "mjd", "fiber_id"], ignore_index=True)
    model = download_model(Registry(store), release)
    expected = model.predict_probabilities(rows[list(INPUTS[release.mode])].to_numpy())
    assert np.array_equal(found[list(PROBABILITIES)].to_numpy(), expected)
    assert list(found["predicted"]) == [CLASSES[best] for best in expected.argmax(axis=1)]
    assert found[[*KEY, "class", "u", "redshift"]].equals(
        rows[[*KEY, "class", "u", "redshift"]].astype(dict.fromkeys(KEY, "int32"))
    )
    assert set(found["mode"]) == {"spectroscopic"}


def test_second_run_reads_only_new_rows(
    store: ObjectStore, table: ObservationsTable, release: Release
) -> None:
    ingest(open_source("simulated:?rows=300", store), table, store)
    assert score_uri(store, "table:", release).inserted == 300
    assert score_uri(store, "table:", release).rows_in == 0
    ingest(open_source("simulated:?rows=40&seed=1&era=boss", store), table, store)
    again = score_uri(store, "table:", release)
    assert (again.rows_in, again.inserted) == (40, 40)
    assert score_uri(store, "table:", release).rows_in == 0


def test_old_version_of_a_table_can_be_scored(
    store: ObjectStore, table: ObservationsTable, release: Release
) -> None:
    version = ingest(open_source("simulated:?rows=50&era=boss", store), table, store).version
    ingest(open_source("simulated:?rows=50&era=boss&seed=1", store), table, store)
    assert open_input(store.settings, "table:").uri == f"table:?version={version + 1}"
    assert score_uri(store, f"table:?version={version}", release).inserted == 50


def test_changed_measurement_and_late_label_update_the_prediction(
    store: ObjectStore, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    first = rows.head(10).assign(**{"class": None})
    score_uri(store, write_parquet(tmp_path, first), release)
    second = rows.head(10).assign(redshift=[5.0, *rows["redshift"][1:10]])
    result = score_uri(store, write_parquet(tmp_path, second, "b.parquet"), release)
    assert (result.inserted, result.updated) == (0, 10)
    found = read_predictions(store.settings, release)
    assert found["redshift"][0] == 5.0
    assert found["class"].notna().all()


def test_releases_are_scored_independently(
    store: ObjectStore, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    uri = write_parquet(tmp_path, rows)
    other = publish_tree(store, tmp_path / "other", Mode.PHOTOMETRIC)
    assert score_uri(store, uri, release).inserted == score_uri(store, uri, other).inserted == 500
    assert set(read_predictions(store.settings, other)["redshift"].isna()) == {True}
    assert len(read_predictions(store.settings, release)) == 500


@pytest.mark.parametrize("shards", [1, 2, 3])
def test_shards_cover_the_whole_input(
    shards: int,
    store: ObjectStore,
    release: Release,
    rows: pd.DataFrame,
    tmp_path: Path,
    small_pieces: None,
) -> None:
    uri = write_parquet(tmp_path, rows)
    parts = [score_uri(store, uri, release, f"{number}/{shards}") for number in range(shards)]
    assert sum(part.inserted for part in parts) == 500
    assert len(read_predictions(store.settings, release)) == 500
    assert score_uri(store, uri, release).rows_in == 0  # also with another number of shards


def test_duplicate_objects_are_stored_once(
    store: ObjectStore,
    release: Release,
    rows: pd.DataFrame,
    tmp_path: Path,
    small_pieces: None,
) -> None:
    """Duplicates occur within a chunk, within a piece and across pieces."""
    twice = pd.concat([rows.head(5), rows.head(5), rows, rows.tail(7)])
    result = score_uri(store, write_parquet(tmp_path, twice), release)
    assert (result.rows_in, result.inserted, result.duplicates) == (517, 500, 17)
    assert len(read_predictions(store.settings, release)) == 500


def test_incomplete_rows_are_counted_and_not_scored(
    store: ObjectStore, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    rows.loc[0, "u"], rows.loc[1, "g"], rows.loc[2, "redshift"] = np.nan, -9999, np.inf
    result = score_uri(store, write_parquet(tmp_path, rows), release)
    assert (result.inserted, result.incomplete) == (497, 3)
    nothing = rows.head(1)
    assert score_uri(store, write_parquet(tmp_path, nothing, "b.parquet"), release).incomplete == 1


def test_objects_without_a_spectrum_are_identified_by_source_id(
    store: ObjectStore, rows: pd.DataFrame, tmp_path: Path
) -> None:
    release = publish_tree(store, tmp_path / "other", Mode.PHOTOMETRIC)
    seen = rows[["u", "g", "r", "i", "z"]].assign(objID=1237648720693755918 + rows.index)
    result = score_uri(store, write_parquet(tmp_path, seen), release)
    assert result.inserted == 500
    found = read_predictions(store.settings, release)
    assert list(found["source_id"]) == list(seen["objID"])
    assert set(found["plate"]) == {0}


def test_delta_tables_parquet_files_and_folders_are_accepted(
    store: ObjectStore, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    write_deltalake(str(tmp_path / "delta"), pa.Table.from_pandas(rows.head(100)))
    assert score_uri(store, str(tmp_path / "delta"), release).inserted == 100
    for name, part in (("a.parquet", rows[100:200]), ("b.parquet", rows[200:300])):
        write_parquet(tmp_path / "many", part, name)
    assert score_uri(store, str(tmp_path / "many"), release).inserted == 200
    data = (tmp_path / "many/a.parquet").read_bytes()
    store.put(store.settings.data_bucket, "sources/a.parquet", data, "application/octet-stream")
    again = score_uri(store, f"s3://{store.settings.data_bucket}/sources/a.parquet", release)
    assert (again.rows_in, again.duplicates) == (100, 100)


def test_changed_file_is_read_again(
    store: ObjectStore, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    score_uri(store, write_parquet(tmp_path, rows.head(100)), release)
    assert score_uri(store, write_parquet(tmp_path, rows.head(120)), release).inserted == 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"u": "columns"}, "missing column u"),
        ({"redshift": "columns"}, "missing column redshift"),
        ({"mjd": "columns"}, "no key columns: add plate, mjd, fiber_id, or source_id"),
    ],
    ids=str,
)
def test_missing_column_is_reported_by_name(
    change: dict[str, str],
    message: str,
    store: ObjectStore,
    release: Release,
    rows: pd.DataFrame,
    tmp_path: Path,
) -> None:
    uri = write_parquet(tmp_path, rows.drop(columns=list(change)))
    with pytest.raises(CatalogError, match=message) as error:
        score_uri(store, uri, release)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("nowhere", "nowhere: no such file"),
        ("table:?version=x", "version is 'x', expected a whole number"),
        ("table:", "the table or this version of it does not exist"),
        ("s3://no-such-bucket/a.parquet", "no such file"),
    ],
)
def test_missing_input_is_reported_on_one_line(uri: str, message: str, store: ObjectStore) -> None:
    with pytest.raises(CatalogError, match=message) as error:
        open_input(store.settings, uri)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["1", "2/2", "-1/2", "a/b", "1/0"])
def test_malformed_shard_is_rejected(text: str) -> None:
    with pytest.raises(CatalogError, match="expected for example 0/4 for the first of four"):
        Shard.parse(text)


def test_find_release_by_name_or_champion(store: ObjectStore, release: Release) -> None:
    settings = store.settings
    assert find_release(settings, Mode.SPECTROSCOPIC, "champion").id == release.id
    assert find_release(settings, Mode.SPECTROSCOPIC, release.id[:8]).id == release.id
    with pytest.raises(ReleaseError, match="there is no photometric champion yet"):
        find_release(settings, Mode.PHOTOMETRIC, "champion")
    with pytest.raises(ReleaseError, match="has mode spectroscopic, not photometric"):
        find_release(settings, Mode.PHOTOMETRIC, release.id[:8])


def test_missing_predictions_table_is_reported(store: ObjectStore) -> None:
    with pytest.raises(Exception, match=r"does not exist.*`skyclass score URI`"):
        PredictionsTable(store.settings).version()
