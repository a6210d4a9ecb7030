"""Whole tables of users' files."""

import pyarrow as pa

from skyclass.tables.files import TableFile


def read_all(file: TableFile, chunk_rows: int = 100) -> pa.Table:
    """Return all rows of a file, in its schema."""
    chunks = list(file.read(range(len(file.header)), chunk_rows))
    return pa.concat_tables(pa.table(list(each.columns), schema=file.schema) for each in chunks)
