"""A bounded random sample of the prediction log, without reading all of it."""

import logging
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from skyclass.errors import one_line
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.tables.log.layout import make_day_prefix
from skyclass.tables.log.schema import LOG_SCHEMA, parse_log

logger = logging.getLogger(__name__)

MAX_FILES = 300
_MAX_SHARE_OF_FILE = 0.1
"""Largest share of the sample that one file contributes, so that no single request dominates."""
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
    """Sample the predictions of one release in a window of days.

    Each object counts once, however often it was requested: a health check that repeats one row
    is no evidence about the others. At most `MAX_FILES` files are read, in random order;
    unreadable ones are skipped.

    Args:
        store: The object store.
        start: Start of the window (UTC), rounded down to a whole day.
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
    random = np.random.default_rng(seed)
    keys = _list_keys(store, start, end)
    is_wanted = (
        (pc.field("time") < pa.scalar(end, LOG_SCHEMA.field("time").type))
        & (pc.field("mode") == str(mode))
        & (pc.field("model_version") == model_version)
    )
    tables, rows = [LOG_SCHEMA.empty_table()], 0
    for number in random.permutation(len(keys))[:MAX_FILES]:
        data = store.get(store.settings.logs_bucket, keys[number])
        try:
            table = parse_log(data).filter(is_wanted)
        except (pa.ArrowException, OSError) as error:
            logger.warning("%s cannot be read, skipped: %s", keys[number], one_line(error))
            continue
        limit = max(1, int(max_rows * _MAX_SHARE_OF_FILE))
        if len(table) > limit:
            table = table.take(np.sort(random.choice(len(table), limit, replace=False)))
        tables.append(table)
        rows += len(table)
        if rows >= max_rows * _SPARE_ROWS:
            break
    inputs = list(INPUTS[mode])
    sample = pa.concat_tables(tables).to_pandas().dropna(subset=inputs).drop_duplicates(inputs)
    if len(sample) > max_rows:
        sample = sample.sample(max_rows, random_state=seed)
    return sample.reset_index(drop=True)


def _list_keys(store: ObjectStore, start: datetime, end: datetime) -> list[str]:
    keys: list[str] = []
    day = start.date()
    while day <= end.date():
        keys += store.list_keys(store.settings.logs_bucket, make_day_prefix(day))
        day += timedelta(days=1)
    return keys
