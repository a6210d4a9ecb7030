"""Hours of the prediction log, as several predictors write them."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import Era
from skyclass.tables.log.files import parse_log
from skyclass.tables.log.layout import LogFile, list_hour, read_listed
from tests.support.monitoring import START, draw_observations, make_log_rows, write_log_rows

HOUR = START + timedelta(hours=5)
SPECTROSCOPIC, PHOTOMETRIC = "a" * 64, "b" * 64
RELEASES = {SPECTROSCOPIC: Mode.SPECTROSCOPIC, PHOTOMETRIC: Mode.PHOTOMETRIC}


def make_hour(hour: datetime, release: str, mode: Mode, rows: int, seed: int) -> pd.DataFrame:
    """Return rows of one hour in random order of time."""
    drawn = make_log_rows(draw_observations(Era.LEGACY, rows, seed), release, mode)
    seconds = np.random.default_rng(seed).uniform(0, 3599, rows)
    times = [hour + timedelta(seconds=each) for each in seconds]
    return drawn.assign(
        time=pd.to_datetime(times).floor("us"), prediction_id=[f"{seed}-{n}" for n in range(rows)]
    )


def write_files(
    store: ObjectStore, files: int = 4, rows: int = 20, first_seed: int = 1, hour: datetime = HOUR
) -> list[str]:
    """Write files of both modes to an hour, and return their keys."""
    keys = []
    for seed in range(first_seed, first_seed + files):
        release, mode = list(RELEASES.items())[seed % 2]
        keys += write_log_rows(store, make_hour(hour, release, mode, rows, seed))
    return keys


def name_log_rows(store: ObjectStore, hour: datetime = HOUR) -> list[str]:
    """Return the prediction id and row of each row that a reader sees."""

    def read(files: list[LogFile]) -> list[str]:
        data = [store.get(store.settings.logs_bucket, file.key) for file in files]
        rows = [row for each in data for row in parse_log(each).to_pylist()]
        return [f"{row['prediction_id']}/{row['row']}" for row in rows]

    return read_listed(lambda: list_hour(store, hour), read)


def read_hour(store: ObjectStore, hour: datetime = HOUR) -> list[str]:
    """Return the rows that a reader sees, each as a text, sorted."""

    def read(files: list[LogFile]) -> list[str]:
        data = [store.get(store.settings.logs_bucket, file.key) for file in files]
        return sorted(str(row) for each in data for row in parse_log(each).to_pylist())

    return read_listed(lambda: list_hour(store, hour), read)
