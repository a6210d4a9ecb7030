"""Data files of a Delta table that are written before the commit that adds them.

A file whose writer is killed before the commit is invisible to readers; `vacuum` deletes it.
"""

import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.transaction import AddAction
from pyarrow import fs

ROW_GROUP_ROWS = 200_000
"""Rows per row group; readers skip row groups by their statistics."""

_WRITERS = 2
"""Files that are written at once. Arrow encodes a file on one thread, from a copy of its rows."""


def write_data_files(
    rows: pa.Table, partition_column: str, filesystem: fs.FileSystem
) -> list[AddAction]:
    """Write rows as a Parquet file per partition, under names that no other writer uses.

    Args:
        rows: Columns of the table.
        partition_column: Partition column; the files do not hold it.
        filesystem: A file system whose root is the folder of the table.

    Returns:
        The actions that add the files to the table.
    """
    partitions = rows[partition_column].unique().to_pylist()

    def write(value: str) -> AddAction:
        part = rows
        if len(partitions) > 1:
            part = rows.filter(pc.equal(rows[partition_column], value))
        return _write_file(
            part.drop_columns([partition_column]), partition_column, value, filesystem
        )

    with ThreadPoolExecutor(_WRITERS) as pool:
        return list(pool.map(write, partitions))


def _write_file(
    rows: pa.Table, partition_column: str, value: str, filesystem: fs.FileSystem
) -> AddAction:
    path = f"{partition_column}={value}/part-{uuid4()}.snappy.parquet"
    with filesystem.open_output_stream(path) as file:
        _write(rows, file)
        size = file.tell()
    return AddAction(
        path=path,
        size=size,
        partition_values={partition_column: value},
        modification_time=int(time.time() * 1000),
        data_change=True,
        stats=json.dumps(_make_statistics(rows)),
    )


def _write(rows: pa.Table, file: pa.NativeFile) -> None:
    # Measurements rarely repeat: building dictionaries takes half of the time of a write, and
    # compressing them by zstd instead of snappy doubles it for files that are a fifth smaller.
    repeating = [each.name for each in rows.schema if not pa.types.is_floating(each.type)]
    pq.write_table(
        rows,
        file,
        row_group_size=ROW_GROUP_ROWS,
        use_dictionary=repeating,
        compression="snappy",
    )


def _make_statistics(rows: pa.Table) -> dict[str, Any]:
    """Return the statistics of all columns, by which readers skip files.

    A column without bounds counts as one without values in the Arrow datasets of delta-rs: a filter
    by it would find no row.
    """
    bounds = {name: pc.min_max(rows[name]).as_py() for name in rows.column_names}
    return {
        "numRecords": rows.num_rows,
        "minValues": _encode({name: each["min"] for name, each in bounds.items()}),
        "maxValues": _encode({name: each["max"] for name, each in bounds.items()}),
        "nullCount": {name: rows[name].null_count for name in rows.column_names},
    }


def _encode(bounds: dict[str, Any]) -> dict[str, Any]:
    """Return bounds as JSON values; a column without values has none."""
    encoded = {}
    for name, value in bounds.items():
        if isinstance(value, datetime):  # the protocol cuts them off at milliseconds
            encoded[name] = value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        elif value is not None and not (isinstance(value, float) and math.isnan(value)):
            encoded[name] = value
    return encoded
