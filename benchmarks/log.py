"""A window of the prediction log, before and after merging: `python -m benchmarks.log`.

The peer is pyarrow's dataset, which reads the same columns of an hour into memory, without
counting, hashing or sampling them.
"""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median

import pyarrow.dataset as ds
import pyarrow.fs as fs

from benchmarks.figures import Figure, print_figure
from benchmarks.log_data import FILE_ROWS, FILES_PER_HOUR, MODE, publish_champion, write_log_hours
from benchmarks.measurement import Cost, measure, run_s3_server
from skyclass.maintenance.merge import merge_hour
from skyclass.monitoring.drift_job import run_drift
from skyclass.monitoring.windows import Window, get_schema, read_window
from skyclass.promotion.local import LocalChampionStore
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.tables.log.layout import list_hour, list_hours

TOPIC = "Prediction log"
PREDICTORS, HOURS = 10, 24
START = datetime(2026, 5, 1, tzinfo=UTC)
SECONDS_BEFORE, SECONDS_AFTER = 120.0, 30.0
"""Targets for ten predictors and one day, on two cores."""
MEGABYTES = 600.0

_PEER_HOURS = 3


def measure_figures(predictors: int = PREDICTORS, hours: int = HOURS) -> Iterator[Figure]:
    """Measure a window before and after its hours are merged.

    Args:
        predictors: Number of predictors that write the log.
        hours: Length of the window.
    """
    window = list(list_hours(START, START + timedelta(hours=hours)))
    size = f"{predictors} predictors, {hours} h"
    with run_s3_server() as (settings, folder):
        release = publish_champion(ObjectStore(settings), folder).id
        write_log_hours(settings, release, window, predictors)
        rows = predictors * FILES_PER_HOUR * FILE_ROWS
        yield from _measure(settings, release, window, rows, f"{size}, small files", SECONDS_BEFORE)
        cost = measure(merge_hours, settings, window)
        yield Figure(TOPIC, f"merging, {size}", cost.seconds, "s")
        yield Figure(TOPIC, f"memory of merging, {size}", cost.megabytes, "MB")
        yield from _measure(settings, release, window, rows, f"{size}, merged", SECONDS_AFTER)
        cost = measure(evaluate, settings, window)
        yield Figure(TOPIC, f"drift job, {size}, merged", cost.seconds, "s")
        yield Figure(TOPIC, f"memory of the drift job, {size}", cost.megabytes, "MB")


def read_hours(settings: Settings, release: str, hours: list[datetime], rows: int) -> None:
    """Count and sample a window of hours with so many rows each."""
    window = Window(MODE, release, hours[0], hours[-1] + timedelta(hours=1))
    found = read_window(ObjectStore(settings), window)
    assert found.accounting.rows_used == len(hours) * rows, found.accounting  # noqa: S101


def read_plainly(settings: Settings, release: str, hour: datetime, rows: int) -> None:
    """Read the same columns of an hour into memory."""
    scheme, _, host = settings.endpoint_url.partition("://")
    filesystem = fs.S3FileSystem(
        access_key=settings.access_key_id,
        secret_key=settings.secret_access_key.get_secret_value(),
        endpoint_override=host,
        scheme=scheme,
        region=settings.region,
    )
    files = list_hour(ObjectStore(settings), hour)
    paths = [f"{settings.logs_bucket}/{file.key}" for file in files]
    dataset = ds.dataset(paths, filesystem=filesystem, format="parquet")
    is_of_release = (ds.field("mode") == str(MODE)) & (ds.field("model_version") == release)
    table = dataset.to_table(columns=get_schema(MODE).names, filter=is_of_release)
    assert len(table) == rows, len(table)  # noqa: S101


def merge_hours(settings: Settings, hours: list[datetime]) -> None:
    """Merge the files of some hours."""
    for hour in hours:
        merge_hour(ObjectStore(settings), hour)


def evaluate(settings: Settings, hours: list[datetime]) -> None:
    """Run the drift job on a window of hours."""
    store = ObjectStore(settings)
    run_drift(store, LocalChampionStore(store), MODE, hours[0], hours[-1] + timedelta(hours=1))


def _measure(
    settings: Settings, release: str, window: list[datetime], rows: int, name: str, seconds: float
) -> Iterator[Figure]:
    pairs: list[tuple[Cost, Cost]] = []
    for hour in window[:_PEER_HOURS]:
        pairs.append(
            (
                measure(read_hours, settings, release, [hour], rows),
                measure(read_plainly, settings, release, hour, rows),
            )
        )
    yield Figure(
        TOPIC,
        f"one hour, {name}",
        median(ours.seconds for ours, _ in pairs),
        "s",
        peer="pyarrow.dataset",
        ratio=median(peer.seconds / ours.seconds for ours, peer in pairs),
    )
    cost = measure(read_hours, settings, release, window, rows)
    yield Figure(TOPIC, f"window, {name}", cost.seconds, "s", target=seconds)
    yield Figure(TOPIC, f"CPU of the window, {name}", cost.cpu, "s")
    yield Figure(TOPIC, f"memory of the window, {name}", cost.megabytes, "MB", target=MEGABYTES)


def main() -> None:
    """Print the figures of a log of the given size."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.log", description=__doc__)
    parser.add_argument("--predictors", type=int, default=PREDICTORS)
    parser.add_argument("--hours", type=int, default=HOURS)
    given = parser.parse_args()
    for figure in measure_figures(given.predictors, given.hours):
        print_figure(figure)


if __name__ == "__main__":
    main()
