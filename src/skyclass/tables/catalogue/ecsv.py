"""ECSV files, written by astropy from a table in memory."""

from pathlib import Path

import pyarrow as pa

from skyclass.errors import CatalogError
from skyclass.tables.catalogue.astropy_tables import to_astropy
from skyclass.tables.catalogue.fields import list_layouts
from skyclass.tables.catalogue.rows import Content, Rows

NAME = "ECSV"
SUFFIXES = (".ecsv",)
MAX_CELLS = 20_000_000
"""Limit on rows times columns: such a table takes about 2 GB of memory."""


def check_ecsv(schema: pa.Schema, content: Content, name: str) -> None:
    """Check that ECSV can hold a table.

    Args:
        schema: The columns.
        content: Summary of the rows.
        name: The table in error messages.

    Raises:
        CatalogError: ECSV cannot hold a column, or the table is too large.
    """
    for place, layout in enumerate(list_layouts(schema, NAME, name)):
        is_lossy = layout.element == pa.bool_() and content.columns[place].has_nulls  # in astropy
        if layout.is_variable and (layout.is_text or is_lossy):
            kind = "texts" if layout.is_text else "missing booleans"
            raise CatalogError(
                f"{name}: column {schema.names[place]} has lists of {kind}, which {NAME} cannot "
                "hold: choose an output file that ends with .parquet"
            )
    if content.rows * len(schema) > MAX_CELLS:
        raise CatalogError(
            f"{name}: {content.rows:,} rows of {len(schema)} columns are too many for {NAME}, "
            "which is written from memory: choose an output file that ends with .fits or .vot"
        )


def write_ecsv(rows: Rows, content: Content, path: Path, name: str) -> None:
    """Write an ECSV file.

    Args:
        rows: The rows.
        content: Their summary.
        path: The file to write.
        name: The table in error messages.

    Raises:
        CatalogError: ECSV cannot hold a column, or the table is too large.
        OSError: The file cannot be written.
    """
    check_ecsv(rows.schema, content, name)
    table = to_astropy(pa.Table.from_batches(rows.read(), rows.schema))
    table.write(path, format="ascii.ecsv")
