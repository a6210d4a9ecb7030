"""A bounded random sample of the prediction log, without reading all of it."""

import logging
from collections.abc import Sequence
from datetime import datetime
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from skyclass.errors import one_line
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.tables.log.files import UNREADABLE, open_large, parse_log, read_row_group
from skyclass.tables.log.layout import LogFile, list_hour, list_hours, read_listed
from skyclass.tables.log.schema import LOG_SCHEMA

logger = logging.getLogger(__name__)

MAX_FILES = 300
_MAX_SHARE_OF_HOUR = 0.1
"""Largest share of the sample that one hour contributes, so that no burst of requests dominates."""
_SPARE_ROWS = 2
"""Rows that are read for each row of the sample, because repeated objects are dropped."""


def sample_log(
    store: ObjectStore,
    start: datetime,
    end: datetime,
    mode: Mode,
    model_version: str,
    max_rows: int,
    seed: int,
) -> pd.DataFrame:
    """Sample the predictions of one release in a window of time.

    Each object counts once, however often it was requested: a health check that repeats one row
    is no evidence about the others. Hours are read in random order, of each the files in random
    order, and at most `MAX_FILES` files in total; unreadable ones are skipped.

    Args:
        store: The object store.
        start: Start of the window (UTC), rounded down to a whole hour.
        end: End of the window (UTC), excluded.
        mode: Mode of the release.
        model_version: Id of the release.
        max_rows: Maximum number of rows.
        seed: Selects the files and the rows.

    Returns:
        Columns of `LOG_SCHEMA`, every input present.

    Raises:
        StoreError: The log cannot be listed or read.
    """
    is_wanted = (
        (pc.field("time") < pa.scalar(end, LOG_SCHEMA.field("time").type))
        & (pc.field("mode") == str(mode))
        & (pc.field("model_version") == model_version)
    )
    limit = max(1, int(max_rows * _MAX_SHARE_OF_HOUR))
    hours = list(list_hours(start, end))
    tables, rows, files = [LOG_SCHEMA.empty_table()], 0, 0
    for number in np.random.default_rng(seed).permutation(len(hours)):
        table, read = read_listed(
            partial(_list_files, store, hours[number], mode, model_version),
            partial(_sample_files, store, is_wanted, limit, MAX_FILES - files, [seed, number]),
        )
        tables.append(table)
        rows, files = rows + len(table), files + read
        if rows >= max_rows * _SPARE_ROWS or files >= MAX_FILES:
            break
    inputs = list(INPUTS[mode])
    sample = pa.concat_tables(tables).to_pandas().dropna(subset=inputs).drop_duplicates(inputs)
    if len(sample) > max_rows:
        sample = sample.sample(max_rows, random_state=seed)
    return sample.reset_index(drop=True)


def _list_files(
    store: ObjectStore, hour: datetime, mode: Mode, model_version: str
) -> list[LogFile]:
    """List the files of an hour that may have rows of a release."""
    return [
        file
        for file in list_hour(store, hour)
        if file.merged is None
        or (file.merged.mode, file.merged.model_version) == (mode, model_version)
    ]


def _sample_files(
    store: ObjectStore,
    is_wanted: pc.Expression,
    max_rows: int,
    max_files: int,
    seed: Sequence[int],
    files: Sequence[LogFile],
) -> tuple[pa.Table, int]:
    """Return random rows of random files, and the number of files read."""
    random = np.random.default_rng(seed)
    tables, rows = [LOG_SCHEMA.empty_table()], 0
    for number in random.permutation(len(files))[:max_files]:
        tables.append(_read_file(store, files[number], random).filter(is_wanted))
        rows += len(tables[-1])
        if rows >= max_rows:
            break
    table = pa.concat_tables(tables)
    if len(table) > max_rows:
        table = table.take(np.sort(random.choice(len(table), max_rows, replace=False)))
    return table, len(tables) - 1


def _read_file(store: ObjectStore, file: LogFile, random: np.random.Generator) -> pa.Table:
    """Read a small file, or a random row group of a merged one; nothing if it is unreadable."""
    try:
        if file.merged is None:
            return parse_log(store.get(store.settings.logs_bucket, file.key), key=file.key)
        large = open_large(store, file.key)
        return read_row_group(large, int(random.integers(large.num_row_groups)))
    except UNREADABLE as error:
        logger.warning("%s cannot be read, skipped: %s", file.key, one_line(error))
        return LOG_SCHEMA.empty_table()
