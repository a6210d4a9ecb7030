"""One unusable record among 10,000 is rejected with a reason, and the others are not affected."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import urllib3
from astropy.table import Table

from skyclass.ingest.job import REJECTED_PREFIX, ingest
from skyclass.local.s3_server import Access
from skyclass.scoring.inputs import open_input
from skyclass.scoring.score import score
from skyclass.sources.files import FileSource
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import KEY, Era
from skyclass.tables.log.read import read_log
from skyclass.tables.observations import ObservationsTable
from tests.support.faults.history import History
from tests.support.monitoring import draw_observations
from tests.support.predictor import Site, publish, serving
from tests.support.rows import name_rows
from tests.support.scoring import publish_tree, read_predictions

ROWS, REQUEST_ROWS = 10_000, 1_000
V1 = "/v1/models/skyclass-spectroscopic:predict"
POISONED = 4_321
"""Position of the unusable record."""


@pytest.fixture(scope="module")
def observations() -> pd.DataFrame:
    return draw_observations(Era.LEGACY, ROWS, seed=1).reset_index(drop=True)


def write_csv(rows: pd.DataFrame, column: str, value: bytes, folder: Path) -> Path:
    lines = rows.to_csv(index=False).encode().splitlines(keepends=True)
    cells = lines[POISONED + 1].rstrip(b"\n").split(b",")
    cells[rows.columns.get_loc(column)] = value
    lines[POISONED + 1] = b",".join(cells) + b"\n"
    path = folder / "observations.csv"
    path.write_bytes(b"".join(lines))
    return path


def write_parquet(rows: pd.DataFrame, column: str, value: object, folder: Path) -> Path:
    """Write a file whose column is of bytes that are declared as text if the value is bytes."""
    table = pa.Table.from_pandas(rows, preserve_index=False)
    values = rows[column].tolist()
    if isinstance(value, bytes):
        values = [str(each).encode() for each in values]
    values[POISONED] = value
    array = pa.array(values)
    if isinstance(value, bytes):
        array = pa.Array.from_buffers(pa.string(), ROWS, array.buffers())
    path = folder / "observations.parquet"
    pq.write_table(table.set_column(table.column_names.index(column), column, array), path)
    return path


def write_categories(rows: pd.DataFrame, column: str, value: bytes, folder: Path) -> Path:
    """Write a file whose column is a dictionary, as of a categorical column of pandas."""
    path = write_parquet(rows, column, value, folder)
    table = pq.read_table(path)
    encoded = table[column].combine_chunks().cast(pa.binary()).dictionary_encode()
    texts = encoded.dictionary.view(pa.string())
    array = pa.DictionaryArray.from_arrays(encoded.indices, texts)
    pq.write_table(table.set_column(table.column_names.index(column), column, array), path)
    return path


def write_fits(rows: pd.DataFrame, column: str, value: object, folder: Path) -> Path:
    poisoned = rows.copy()
    poisoned.loc[POISONED, column] = value
    path = folder / "observations.fits"
    Table.from_pandas(poisoned).write(path)
    return path


@pytest.mark.fault("poisoned-record")
@pytest.mark.parametrize(
    ("write", "column", "value", "reason"),
    [
        (write_csv, "u", b"inf", "u: outside 5 to 35"),
        (write_csv, "u", b"1e400", "u: outside 5 to 35"),
        (write_csv, "u", b"bright", "u: not a number"),
        (write_csv, "u", b"1\x002", "u: not a number"),
        (write_csv, "u", b"\xff\xfe", "u: not a number"),
        (write_csv, "plate", b"1" + 30 * b"0", "plate: not a positive 32-bit number"),
        (write_csv, "fiber_id", b"1.5", "fiber_id: not a whole number"),
        (write_csv, "class", b"\xff\xfe", "class: not one of GALAXY, QSO, STAR"),
        (write_csv, "g", b"17.1,18.2", "14 fields, expected 13"),
        (write_parquet, "u", float("inf"), "u: outside 5 to 35"),
        (write_parquet, "u", 1e300, "u: outside 5 to 35"),
        (write_parquet, "plate", 2**62, "plate: not a positive 32-bit number"),
        (write_parquet, "class", b"\xff\xfe", "class: not one of GALAXY, QSO, STAR"),
        (write_categories, "class", b"\xff\xfe", "class: not one of GALAXY, QSO, STAR"),
        (write_fits, "u", -np.inf, "u: outside 5 to 35"),
        (write_fits, "plate", 2**62, "plate: not a positive 32-bit number"),
    ],
)
def test_ingest_rejects_the_record_with_a_reason(
    write: Callable[[pd.DataFrame, str, object, Path], Path],
    column: str,
    value: object,
    reason: str,
    observations: pd.DataFrame,
    store: ObjectStore,
    table: ObservationsTable,
    tmp_path: Path,
    history: History,
) -> None:
    path = write(observations, column, value, tmp_path)
    history.attempt(*name_rows(observations))
    done = ingest(FileSource(path, str(path)), table, store)
    history.fire(f"{column} of row {POISONED} is {value!r}")
    assert (done.rows_in, done.rejected, done.reasons) == (ROWS, 1, {reason: 1})
    (key,) = store.list_keys(store.settings.data_bucket, f"{REJECTED_PREFIX}/")
    (quarantined,) = pq.read_table(pa.BufferReader(store.get(store.settings.data_bucket, key)))[
        "reason"
    ].to_pylist()
    assert quarantined == reason
    history.acknowledge(*name_rows(observations.drop(POISONED)))
    with history.recovery():
        assert ingest(FileSource(path, str(path)), table, store).rows_in == 0
    history.find(name_rows(table.read(table.version(), list(KEY))))


@pytest.mark.fault("poisoned-record")
@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -9999.0, 1e300])
def test_scoring_counts_the_record_as_incomplete(
    value: float | None,
    observations: pd.DataFrame,
    store: ObjectStore,
    tmp_path: Path,
    history: History,
) -> None:
    release = publish_tree(store, tmp_path / "release", Mode.SPECTROSCOPIC)
    (tmp_path / "folder").mkdir()
    write_parquet(observations, "redshift", value, tmp_path / "folder")
    history.attempt(*name_rows(observations))
    done = score(store.settings, open_input(store.settings, str(tmp_path / "folder")), release)
    history.fire(f"the redshift of row {POISONED} is {value}")
    assert (done.rows_in, done.incomplete, done.inserted) == (ROWS, 1, ROWS - 1)
    history.acknowledge(*name_rows(observations.drop(POISONED)))
    with history.recovery():
        again = score(store.settings, open_input(store.settings, str(tmp_path / "folder")), release)
    assert again.rows_in == 0
    history.find(name_rows(read_predictions(store.settings, release)))


@pytest.mark.fault("poisoned-record")
def test_endpoint_rejects_the_request_and_names_the_record(
    observations: pd.DataFrame, s3: Access, tmp_path: Path, history: History
) -> None:
    site = Site.make(s3, tmp_path / "home")
    release = publish(site, tmp_path / "files", Mode.SPECTROSCOPIC, seed=1)
    site.registry.download(release, tmp_path / "release")
    rows = observations[list(INPUTS[Mode.SPECTROSCOPIC])].to_numpy().tolist()
    poisoned: list[tuple[object, str]] = [
        (-9999, "u was not measured"),
        (1e300, "u is "),
        ("bright", "u is "),
        ("\x00", "u is "),
        (None, "u is "),
        (True, "u is "),
        ([], "u is "),
    ]

    def send(number: int, instances: list[object]) -> urllib3.BaseHTTPResponse:
        headers = {"Content-Type": "application/json", "X-Request-Id": f"request-{number}"}
        history.attempt(*(f"request-{number}/{row}" for row in range(REQUEST_ROWS)))
        return server.request("POST", V1, {"instances": instances}, headers)

    log = tmp_path / "log"
    with serving(site, Mode.SPECTROSCOPIC, tmp_path / "release", log) as server:
        for number in range(ROWS // REQUEST_ROWS):
            start = number * REQUEST_ROWS
            instances = rows[start : start + REQUEST_ROWS]
            if number < len(poisoned):
                value, reason = poisoned[number]
                record = [value, *instances[number][1:]]
                answer = send(number, [*instances[:number], record, *instances[number + 1 :]])
                assert answer.status in (400, 422), value
                assert f"row {number}: {reason}" in answer.json()["error"]
                history.fire(f"u of one record is {value!r}")
            with history.recovery():
                assert send(number, instances).status == 200
            history.acknowledge(*(f"request-{number}/{row}" for row in range(REQUEST_ROWS)))
        assert server.stop() == 0
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    logged = read_log(site.store, now - hour, now + hour, Mode.SPECTROSCOPIC, release.id).rows
    history.find(f"{row.request_id}/{row.row}" for row in logged.itertuples())
