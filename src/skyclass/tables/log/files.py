"""Files of the prediction log as tables, those of older versions with the columns of this one."""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from skyclass.storage.object_file import ObjectFile
from skyclass.storage.s3 import ObjectStore
from skyclass.tables.log.schema import LOG_FORMAT, LOG_SCHEMA

ALL_COLUMNS = tuple(LOG_SCHEMA.names)

UNREADABLE = (pa.ArrowException, OSError)
"""Errors of files that are not Parquet of this schema, or are truncated."""

_SUBSTITUTES = {"idempotency_key": "prediction_id", "prediction_id": "request_id"}
"""Where older files lack the first: there, the prediction id was the client's key, if it sent one,
and in version 0.1.0 requests had no other id than the client's."""


def parse_log(data: bytes, columns: Sequence[str] = ALL_COLUMNS, key: str = "a file") -> pa.Table:
    """Parse a file of the prediction log.

    Args:
        data: The file.
        columns: Columns of `LOG_SCHEMA`.
        key: Its key, for messages.

    Returns:
        The columns with the types of `LOG_SCHEMA`.

    Raises:
        pyarrow.ArrowException: The file is not Parquet of this schema.
        NewerFormatError: A newer version of skyclass has written the file.
        OSError: The file is truncated.
    """
    file = pq.ParquetFile(pa.BufferReader(data))
    LOG_FORMAT.check_parquet(file.metadata, key)
    sources = _find_sources(file, columns)
    return _convert(file.read(list(sources.values()), use_threads=False), sources)


def open_large(store: ObjectStore, key: str) -> pq.ParquetFile:
    """Open a file of the prediction log of which only row groups fit into memory.

    Raises:
        ObjectMissingError: No object has the key.
        pyarrow.ArrowException: The file is not Parquet.
        NewerFormatError: A newer version of skyclass has written the file.
    """
    source = ObjectFile(store, store.settings.logs_bucket, key)
    file = pq.ParquetFile(pa.PythonFile(source, mode="r"), pre_buffer=True)
    LOG_FORMAT.check_parquet(file.metadata, key)
    return file


def read_row_group(
    file: pq.ParquetFile, number: int, columns: Sequence[str] = ALL_COLUMNS
) -> pa.Table:
    """Read a row group, as `parse_log` reads a whole file."""
    sources = _find_sources(file, columns)
    return _convert(file.read_row_group(number, list(sources.values())), sources)


def read_batches(file: pq.ParquetFile, columns: Sequence[str], size: int) -> Iterator[pa.Table]:
    """Yield the rows of a large file in tables of at most `size` rows."""
    sources = _find_sources(file, columns)
    names = list(sources.values())
    for number in range(file.num_row_groups):
        for batch in file.iter_batches(size, row_groups=[number], columns=names):
            yield _convert(pa.Table.from_batches([batch]), sources)


def _find_sources(file: pq.ParquetFile, columns: Sequence[str]) -> dict[str, str]:
    """Return the column of the file that each column of the log is read from."""
    found = set(file.schema_arrow.names)
    sources = {}
    for name in columns:
        source = name
        while source not in found and source in _SUBSTITUTES:
            source = _SUBSTITUTES[source]
        if source not in found and name in _SUBSTITUTES:
            raise pa.ArrowInvalid(f"the file has no column {source}")
        sources[name] = source
    return sources


def _convert(table: pa.Table, sources: Mapping[str, str]) -> pa.Table:
    """Return the columns of the log; those that the file lacks are null."""
    schema = pa.schema([LOG_SCHEMA.field(name) for name in sources])
    if not table.schema.equals(schema):
        arrays = [
            table[source].cast(LOG_SCHEMA.field(name).type)
            if source in table.column_names
            else pa.nulls(len(table), LOG_SCHEMA.field(name).type)
            for name, source in sources.items()
        ]
        table = pa.table(arrays, schema=schema)
    table.validate(full=True)  # text that is not UTF-8 would fail later, far from its file
    return table
