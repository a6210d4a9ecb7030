"""What is in the object store at the end of a soak, as keys of its history."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa

from skyclass.monitoring.documents import DRIFT_PREFIX
from skyclass.monitoring.verdict import DriftVerdict
from skyclass.promotion.local import LocalChampionStore
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.observation import KEY
from skyclass.tables.log.files import parse_log
from skyclass.tables.log.layout import LogFile, list_hour, list_hours, read_listed
from skyclass.tables.observations import ObservationsTable
from tests.soak.load import MODE

_COLUMNS = ["request_id", "prediction_id", "row"]


def find_keys(store: ObjectStore) -> Iterator[str]:
    """Yield the keys of observations, releases, promotions and verdicts, with duplicates."""
    table = ObservationsTable(store.settings)
    rows = table.read(table.version(), KEY)
    yield from (f"row {'-'.join(map(str, key))}" for key in rows[list(KEY)].itertuples(index=False))
    champions = LocalChampionStore(store)
    for release in champions.registry.list_releases(MODE):
        yield f"release {release.manifest.run_id}"
    for promotion in champions.list_promotions(MODE):
        yield f"promotion {promotion.to_release}"
    for key in store.list_keys(store.settings.reports_bucket, f"{DRIFT_PREFIX}/{MODE}/"):
        if key.endswith(f"/{DriftVerdict.file_name}"):
            yield f"verdict {key.removesuffix(DriftVerdict.file_name)}"


def read_logged(store: ObjectStore, start: datetime) -> pd.DataFrame:
    """Read the prediction log from a time on.

    Returns:
        For each request id: `rows` in the log, and how many `distinct` ones.
    """

    def read(files: list[LogFile]) -> pa.Table:
        bucket = store.settings.logs_bucket
        tables = [parse_log(store.get(bucket, file.key), _COLUMNS) for file in files]
        return pa.concat_tables(tables) if tables else None

    hours = [
        read_listed(lambda hour=hour: list_hour(store, hour), read)
        for hour in list_hours(start, datetime.now(UTC))
    ]
    rows = pa.concat_tables([hour for hour in hours if hour is not None])
    counted = rows.group_by("request_id").aggregate([("row", "count"), ("row", "count_distinct")])
    return counted.to_pandas().set_axis(["request_id", "rows", "distinct"], axis=1)


def compare_predictions(answers: pd.DataFrame, logged: pd.DataFrame) -> Iterator[str]:
    """Yield the key of each request in the log, as often as its rows are there.

    A request of which rows are missing is not there.

    Args:
        answers: All requests, as the load has recorded them.
        logged: Rows of each request in the log.
    """
    expected = dict(zip(answers["id"], answers["rows"], strict=True))
    for name, rows, distinct in logged.itertuples(index=False):
        size = expected.get(name, rows)
        if distinct == size:
            yield from [f"prediction {name}"] * -(-rows // size)
