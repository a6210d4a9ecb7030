"""A synthetic prediction log: what some predictors write in some hours."""

import multiprocessing
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import REFERENCE, Release
from skyclass.settings import Settings
from skyclass.sources.simulated import draw
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import CLASSES, MEASUREMENTS, Era
from skyclass.tables.log.schema import LOG_SCHEMA, PROBABILITIES, REFERENCE_SCHEMA
from skyclass.tables.log.write import encode_log, write_batch

MODE = Mode.SPECTROSCOPIC
FILES_PER_HOUR = 360
"""Of a predictor, which writes every ten seconds."""
FILE_ROWS = 100

_REQUEST_ROWS = 10
_BLOCKS = 50
"""Blocks of different objects, which the files repeat."""
_REFERENCE_ROWS = 10_000
_PROCESSES = 2
_THREADS = 8


def publish_champion(store: ObjectStore, folder: Path) -> Release:
    """Publish and promote a release with a reference and without a model."""
    # Imports the training, of which the memory of the measured processes must be free.
    from benchmarks.models import publish_model

    model, _ = publish_model(store, MODE, "decision_tree", folder)
    path = folder / REFERENCE
    rows = _draw_predictions(_REFERENCE_ROWS).reindex(columns=REFERENCE_SCHEMA.names)
    table = pa.Table.from_pandas(rows, schema=REFERENCE_SCHEMA, preserve_index=False)
    pq.write_table(table, path)
    champions = LocalChampionStore(store)
    manifest = model.manifest.model_copy(update={"files": ()})
    release = champions.registry.publish(manifest, {REFERENCE: path})
    champions.promote(release, "a benchmark", "benchmark")
    return release


def write_log_hours(
    settings: Settings, release: str, hours: Iterable[datetime], predictors: int
) -> None:
    """Write the log of some predictors, each request with an idempotency key.

    Args:
        settings: Location of the object store.
        release: Id of the release.
        hours: The hours.
        predictors: Number of predictors.
    """
    write = partial(_write_hour, settings, release, predictors)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_PROCESSES, mp_context=context) as pool:
        list(pool.map(write, hours))


def _write_hour(settings: Settings, release: str, predictors: int, hour: datetime) -> None:
    store = ObjectStore(settings)
    rows = _draw_predictions(_BLOCKS * FILE_ROWS)
    rows = rows.assign(
        row=np.arange(len(rows)) % _REQUEST_ROWS,
        model_version=release,
        mode=str(MODE),
        time=pd.Timestamp(hour),
    ).reindex(columns=LOG_SCHEMA.names)
    table = pa.Table.from_pandas(rows, schema=LOG_SCHEMA, preserve_index=False)
    blocks = [table.slice(number * FILE_ROWS, FILE_ROWS) for number in range(_BLOCKS)]

    def write_file(number: int) -> None:
        block = _identify(blocks[number % _BLOCKS], hour, number, predictors)
        for batch in encode_log(block, f"predictor-{number % predictors}-{number:08}"):
            write_batch(store, batch)

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(write_file, range(FILES_PER_HOUR * predictors)))


def _identify(block: pa.Table, hour: datetime, number: int, predictors: int) -> pa.Table:
    """Return the rows of a file with times and ids of their own."""
    start = hour + timedelta(hours=number // predictors / FILES_PER_HOUR)
    requests = np.arange(FILE_ROWS) // _REQUEST_ROWS
    ids = [f"{hour:%d%H}-{number:08}-{request:012}" for request in requests]
    columns = {
        "time": [start + timedelta(seconds=int(request)) for request in requests],
        "prediction_id": [f"predictor-{number % predictors}-{each}" for each in ids],
        "request_id": ids,
        "idempotency_key": [f"key-{each}" for each in ids],
    }
    for name, values in columns.items():
        field = LOG_SCHEMA.field(name)
        position = block.schema.get_field_index(name)
        block = block.set_column(position, field, pa.array(values, field.type))
    return block


def _draw_predictions(size: int) -> pd.DataFrame:
    """Draw objects of the Legacy era that are predicted correctly."""
    rows = draw(Era.LEGACY, 0, size * 2, 0).to_pandas()
    rows = rows[(rows[list(MEASUREMENTS)] > -9999).all(axis=1)].head(size)
    labels = rows["class"].to_numpy()
    noise = np.random.default_rng(0).uniform(0, 0.05, len(rows))
    probabilities = {
        column: np.where(labels == name, 0.9 + noise, 0.05 - noise / 2)
        for column, name in zip(PROBABILITIES, CLASSES, strict=True)
    }
    return rows.assign(predicted=labels, **probabilities)
