"""VOTable 1.4 documents with their rows as XML (TABLEDATA), written row by row.

Missing scalars are empty cells, and missing integers of an array a value that no row has.
VOTable has no signed bytes and no unsigned integers of more than 8 bits: they become wider
signed ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO
from xml.sax import saxutils

import pyarrow as pa

from skyclass.errors import CatalogError
from skyclass.tables.catalogue.fields import list_layouts
from skyclass.tables.catalogue.layout import WIDER, Layout, find_unused, to_elements
from skyclass.tables.catalogue.rows import Content, Rows, Summary
from skyclass.tables.catalogue.votable_header import SPECIAL_NUMBERS, make_head

NAME = "VOTable"
SUFFIXES = (".vot", ".votable", ".xml")
_START = """<?xml version="1.0" encoding="utf-8"?>
<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">
<RESOURCE type="results">
"""
_END = """</TABLEDATA></DATA>
</TABLE>
</RESOURCE>
</VOTABLE>
"""
_DATATYPES = {
    pa.bool_(): "boolean",
    pa.uint8(): "unsignedByte",
    pa.int16(): "short",
    pa.int32(): "int",
    pa.int64(): "long",
    pa.float32(): "float",
    pa.float64(): "double",
}
_escape = partial(
    saxutils.escape, entities={"\r": "&#13;"}
)  # a parser would read it as a line feed


@dataclass(frozen=True)
class Column:
    """A column as VOTable stores it.

    Attributes:
        layout: Its layout.
        datatype: Its type in VOTable.
        null: The integer that marks missing elements of an array; None if there are none.
    """

    layout: Layout
    datatype: str
    null: int | None = None

    def encode(self, column: pa.Array) -> list[str]:
        """Convert values to the content of cells."""
        elements = to_elements(column, self.layout)
        if self.layout.is_text:
            return [_escape(text or "") for text in elements.to_pylist()]
        texts = elements.cast(pa.string()).to_pylist()
        if pa.types.is_floating(self.layout.element):
            blank = "NaN" if self.layout.is_array else ""
            texts = [blank if text is None else SPECIAL_NUMBERS.get(text, text) for text in texts]
        elif self.layout.element == pa.bool_():
            texts = ["?" if text is None else text[0].upper() for text in texts]
        else:
            blank = "" if self.null is None else str(self.null)
            texts = [blank if text is None else text for text in texts]
        if not self.layout.is_array:
            return texts
        sizes = self.layout.find_sizes(column)
        ends = sizes.cumsum()
        return [
            " ".join(texts[end - size : end])
            for size, end in zip(sizes.tolist(), ends.tolist(), strict=True)
        ]


def plan_columns(schema: pa.Schema, content: Content, name: str) -> list[Column]:
    """Plan how the columns of a table are stored.

    Args:
        schema: The columns.
        content: Summary of the rows.
        name: The table in error messages.

    Raises:
        CatalogError: VOTable cannot hold a column.
    """
    layouts = list_layouts(schema, NAME, name)
    return [
        _plan_column(layout, content.columns[position], f"{name}: column {schema.names[position]}")
        for position, layout in enumerate(layouts)
    ]


def check_votable(schema: pa.Schema, content: Content, name: str) -> None:
    """Check that VOTable can hold a table; see `plan_columns`."""
    plan_columns(schema, content, name)


def write_votable(rows: Rows, content: Content, path: Path, name: str) -> None:
    """Write a VOTable document, a batch of rows at a time.

    Args:
        rows: The rows.
        content: Their summary.
        path: The file to write.
        name: The table in error messages.

    Raises:
        CatalogError: VOTable cannot hold a column.
        OSError: The file cannot be written.
    """
    columns = plan_columns(rows.schema, content, name)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(_START)
        file.writelines(make_head(rows.schema, columns, content.rows))
        file.write("<DATA><TABLEDATA>\n")
        for batch in rows.read():
            _write_rows(file, columns, batch)
        file.write(_END)


def _write_rows(file: TextIO, columns: Sequence[Column], batch: pa.RecordBatch) -> None:
    cells = [column.encode(batch.column(place)) for place, column in enumerate(columns)]
    file.writelines(
        f"<TR><TD>{'</TD><TD>'.join(row)}</TD></TR>\n" for row in zip(*cells, strict=True)
    )


def _plan_column(layout: Layout, summary: Summary, label: str) -> Column:
    if layout.is_text:
        if layout.is_array:
            raise CatalogError(
                f"{label} has lists of texts, which {NAME} cannot hold: choose an output file that "
                "ends with .parquet"
            )
        if summary.has_controls:
            raise CatalogError(
                f"{label} has texts with control characters, which XML cannot hold: remove them, "
                "or choose an output file that ends with .parquet"
            )
        return Column(layout, "char" if summary.is_ascii else "unicodeChar")
    if not layout.is_integer:
        return Column(layout, _DATATYPES[layout.element])
    if layout.element not in _DATATYPES:
        layout = layout.with_element(WIDER[layout.element])
    null = find_unused(layout, summary.low, summary.high)
    is_null_needed = layout.is_array and summary.has_nulls
    if (summary.high or 0) >= 2**63 or (is_null_needed and null is None):
        raise CatalogError(
            f"{label} has integers above 63 bits, or missing ones in arrays beside both limits of "
            f"the type, which {NAME} cannot hold: choose an output file that ends with .ecsv"
        )
    return Column(layout, _DATATYPES[layout.element], null if is_null_needed else None)
