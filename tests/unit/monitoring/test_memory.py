"""Memory does not depend on the size of a window."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.measurement import measure
from skyclass.monitoring.windows import Window, read_window
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import Era
from skyclass.tables.log.layout import HourIndex, MergedFile, make_hour_prefix
from skyclass.tables.log.schema import LOG_SCHEMA
from tests.support.monitoring import START, draw_observations, make_log_rows

MAX_GROWTH_MEGABYTES = 100
RELEASE = "a" * 64
GROUP_ROWS = 50_000


def write_merged_hour(store: ObjectStore, path: Path, groups: int) -> None:
    """Write an hour of which all files are merged into one of so many row groups."""
    rows = make_log_rows(draw_observations(Era.LEGACY, GROUP_ROWS, seed=1), RELEASE)
    rows = rows.assign(time=START)
    with pq.ParquetWriter(path, LOG_SCHEMA) as writer:
        for number in range(groups):
            group = rows.assign(prediction_id=str(number), idempotency_key=str(number))
            writer.write_table(pa.Table.from_pandas(group, LOG_SCHEMA, preserve_index=False))
    prefix, bucket = make_hour_prefix(START), store.settings.logs_bucket
    store.upload(bucket, f"{prefix}merged/x.parquet", path, "")
    file = MergedFile(
        name="merged/x.parquet",
        mode=Mode.SPECTROSCOPIC,
        model_version=RELEASE,
        rows=groups * GROUP_ROWS,
    )
    index = HourIndex(merged=(file,)).to_bytes()
    store.put(bucket, prefix + HourIndex.file_name, index, "application/json")


def count_rows(settings: Settings, rows: int) -> None:
    window = Window(Mode.SPECTROSCOPIC, RELEASE, START, START + timedelta(hours=1))
    assert read_window(ObjectStore(settings), window).accounting.rows_used == rows


@pytest.mark.slow
def test_a_million_rows_need_hardly_more_memory_than_a_tenth(
    store: ObjectStore, settings: Settings, tmp_path: Path
) -> None:
    peaks = []
    for groups in (2, 20):
        write_merged_hour(store, tmp_path / "hour.parquet", groups)
        peaks.append(measure(count_rows, settings, groups * GROUP_ROWS).megabytes)
    assert peaks[1] - peaks[0] < MAX_GROWTH_MEGABYTES
