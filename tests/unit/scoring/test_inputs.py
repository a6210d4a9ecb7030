"""Inputs of batch scoring: partitioned tables, text files, and ids and numbers of all types."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from deltalake import write_deltalake

from skyclass.errors import CatalogError
from skyclass.registry.releases import Release
from skyclass.scoring.inputs import open_input
from skyclass.scoring.result import ScoringResult
from skyclass.scoring.score import score
from skyclass.sources.simulated import draw
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import KEY, Era
from skyclass.tables.log.schema import PROBABILITIES
from tests.support.scoring import read_predictions

IDS = [1237648720693755918 + number for number in range(60)]


def score_uri(store: ObjectStore, uri: Path | str, release: Release) -> ScoringResult:
    return score(store.settings, open_input(store.settings, str(uri)), release)


@pytest.fixture
def rows() -> pd.DataFrame:
    """60 rows of three nights."""
    return draw(Era.BOSS, 0, 60, 0).to_pandas().assign(mjd=lambda r: 55_200 + r.index % 3)


def write_delta(rows: pd.DataFrame, path: Path, column: str) -> None:
    write_deltalake(str(path), pa.Table.from_pandas(rows), partition_by=[column])


def write_hive(rows: pd.DataFrame, path: Path, column: str) -> None:
    table = pa.Table.from_pandas(rows)
    schema = pa.schema([table.schema.field(column)])
    partitioning = ds.partitioning(schema, flavor="hive")
    ds.write_dataset(table, path, format="parquet", partitioning=partitioning)


@pytest.mark.parametrize("column", ["class", "mjd"])
@pytest.mark.parametrize("write", [write_delta, write_hive])
def test_partition_columns_are_columns(
    write: object,
    column: str,
    store: ObjectStore,
    release: Release,
    rows: pd.DataFrame,
    tmp_path: Path,
) -> None:
    assert callable(write)
    write(rows, tmp_path / "partitioned", column)
    assert score_uri(store, tmp_path / "partitioned", release).inserted == 60
    found = read_predictions(store.settings, release)
    expected = rows.sort_values(list(KEY), ignore_index=True)
    assert found[[*KEY, "class"]].equals(
        expected[[*KEY, "class"]].astype(dict.fromkeys(KEY, "int32"))
    )


def test_predictions_for_csv_equal_those_for_parquet(
    store: ObjectStore, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    rows.to_csv(tmp_path / "a.csv", index=False, sep=";")
    rows.to_parquet(tmp_path / "a.parquet")
    assert score_uri(store, tmp_path / "a.csv", release).inserted == 60
    again = score_uri(store, tmp_path / "a.parquet", release)
    assert (again.duplicates, again.updated) == (60, 0)
    assert score_uri(store, tmp_path / "a.csv", release).rows_in == 0


def test_equal_values_of_another_type_are_duplicates(
    store: ObjectStore, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    names = list(INPUTS[Mode.SPECTROSCOPIC])
    rows = rows.head(6).round(dict.fromkeys(names, 5))
    decimals = pa.Table.from_pandas(rows)
    for name in names:
        values = [Decimal(f"{value:.5f}") for value in rows[name]]
        column = pa.array(values, pa.decimal128(12, 5))
        decimals = decimals.set_column(decimals.column_names.index(name), name, column)
    rows.to_parquet(tmp_path / "floats.parquet")
    rows.astype(str).to_parquet(tmp_path / "texts.parquet")
    pa.parquet.write_table(decimals, tmp_path / "decimals.parquet")
    assert score_uri(store, tmp_path / "floats.parquet", release).inserted == 6
    for name in ("decimals", "texts"):
        again = score_uri(store, tmp_path / f"{name}.parquet", release)
        assert (again.rows_in, again.updated, again.duplicates) == (6, 0, 6)


@pytest.mark.parametrize("kind", [np.int64, np.uint64, str])
def test_ids_can_be_integers_or_text(
    kind: type, store: ObjectStore, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    photometry = rows.drop(columns=list(KEY)).assign(objid=[kind(each) for each in IDS])
    photometry.to_parquet(tmp_path / "a.parquet")
    assert score_uri(store, tmp_path / "a.parquet", release).inserted == 60
    assert sorted(read_predictions(store.settings, release)["source_id"]) == IDS


def test_ids_that_were_rounded_are_rejected(
    store: ObjectStore, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    photometry = rows.drop(columns=list(KEY)).assign(objid=np.array(IDS, dtype=np.float64))
    photometry.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(CatalogError, match=r"column objid has floating-point numbers above 2\^53"):
        score_uri(store, tmp_path / "a.parquet", release)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"u": "19,5"}, r"a\.parquet, row 3: u is '19,5', expected a number"),
        ({"fiber_id": "7b"}, r"a\.parquet, row 3: fiber_id is '7b', expected a whole number"),
        ({"class": "galaxy"}, r"a\.parquet, row 3: class is 'galaxy', expected one of GALAXY"),
    ],
    ids=str,
)
def test_a_value_of_the_wrong_type_is_reported_with_its_row(
    change: dict[str, str],
    message: str,
    store: ObjectStore,
    release: Release,
    rows: pd.DataFrame,
    tmp_path: Path,
) -> None:
    texts = rows.astype(str)
    for name, value in change.items():
        texts.loc[2, name] = value
    texts.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(CatalogError, match=message):
        score_uri(store, tmp_path / "a.parquet", release)


def test_class_codes_have_the_given_meaning(
    store: ObjectStore, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    codes = rows["class"].map({"GALAXY": 0, "STAR": 1, "QSO": 2})
    rows.assign(**{"class": codes}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(CatalogError, match="the classes are the numbers 0, 1, 2: give the classes"):
        score_uri(store, tmp_path / "a.parquet", release)
    uri = f"{tmp_path}/a.parquet?classes=GALAXY,STAR,QSO"
    assert score_uri(store, uri, release).inserted == 60
    found = read_predictions(store.settings, release)
    assert list(found["class"]) == list(rows.sort_values(list(KEY))["class"])
    assert set(found["source"]) == {uri}
    assert found[list(PROBABILITIES)].notna().all(axis=None)


def test_class_codes_of_a_delta_table_keep_their_meaning_in_the_address_of_its_version(
    store: ObjectStore, release: Release, rows: pd.DataFrame, tmp_path: Path
) -> None:
    codes = rows["class"].map({"GALAXY": 0, "STAR": 1, "QSO": 2})
    write_delta(rows.assign(**{"class": codes}), tmp_path / "table", "mjd")
    pinned = open_input(store.settings, f"{tmp_path}/table?classes=GALAXY,STAR,QSO").uri
    assert pinned == f"{tmp_path}/table?version=0&classes=GALAXY,STAR,QSO"
    assert score_uri(store, pinned, release).inserted == 60
    found = read_predictions(store.settings, release)
    assert list(found["class"]) == list(rows.sort_values(list(KEY))["class"])


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("a.parquet?version=3", "only Delta tables have versions: remove the option version"),
        ("table?encoding=utf-16", "the option encoding does not apply to a Delta table: remove"),
        ("table?hdu=2", "the option hdu does not apply to a Delta table: remove it"),
        ("table?version=new", "version is 'new', expected a whole number like \\?version=3"),
    ],
)
def test_an_option_that_does_not_apply_is_rejected(
    uri: str, message: str, store: ObjectStore, rows: pd.DataFrame, tmp_path: Path
) -> None:
    rows.to_parquet(tmp_path / "a.parquet")
    write_delta(rows, tmp_path / "table", "mjd")
    with pytest.raises(CatalogError, match=message):
        open_input(store.settings, f"{tmp_path}/{uri}")
