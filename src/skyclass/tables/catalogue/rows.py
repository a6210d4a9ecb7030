"""Rows of a catalogue that can be read more than once, and a summary of their columns."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from skyclass.tables.catalogue.layout import Layout, find_layout, to_elements

_BATCH_ROWS = 10_000
_CONTROLS = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x{fffe}\x{ffff}]"


@dataclass(frozen=True)
class Rows:
    """Rows of a catalogue.

    Attributes:
        schema: Columns. The metadata of a field can have its `unit`, `ucd` and `description`; those
            of the schema describe the table.
        read: Returns all batches; each call returns the same rows.
    """

    schema: pa.Schema
    read: Callable[[], Iterator[pa.RecordBatch]]

    @classmethod
    def from_table(cls, table: pa.Table) -> "Rows":
        """Return the rows of a table in memory."""
        return cls(table.schema, lambda: iter(table.to_batches(_BATCH_ROWS)))


@dataclass(frozen=True)
class Summary:
    """Summary of a column's elements.

    Attributes:
        width: Length of the longest text in bytes of UTF-8.
        is_ascii: Whether all texts are ASCII.
        has_controls: Whether a text has control characters other than tabs and line breaks.
        longest: Number of elements of the longest row.
        has_nulls: Whether an element is missing.
        has_values: Whether an element is not missing.
        low: The lowest integer; None if there is none.
        high: The highest integer; None if there is none.
    """

    width: int = 0
    is_ascii: bool = True
    has_controls: bool = False
    longest: int = 0
    has_nulls: bool = False
    has_values: bool = False
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True)
class Content:
    """What formats with a fixed layout have to know before the first row.

    Attributes:
        rows: Number of rows.
        columns: Summary of each column that has a layout, by its position.
    """

    rows: int
    columns: dict[int, Summary]


def summarise(rows: Rows) -> Content:
    """Read all rows once and summarise their columns."""
    layouts = {
        position: layout
        for position, field in enumerate(rows.schema)
        if (layout := find_layout(field.type))
    }
    columns = dict.fromkeys(layouts, Summary())
    count = 0
    for batch in rows.read():
        count += batch.num_rows
        for position, layout in layouts.items():
            columns[position] = _extend(columns[position], batch.column(position), layout)
    return Content(count, columns)


def drop_empty_columns(rows: Rows, content: Content) -> tuple[Rows, Content]:
    """Leave out the columns without any value.

    Args:
        rows: Rows whose columns all have layouts.
        content: Their summary.
    """
    kept = [position for position, summary in content.columns.items() if summary.has_values]
    schema = pa.schema([rows.schema.field(position) for position in kept], rows.schema.metadata)

    def read() -> Iterator[pa.RecordBatch]:
        for batch in rows.read():
            yield pa.RecordBatch.from_arrays([batch.column(each) for each in kept], schema=schema)

    columns = {place: content.columns[position] for place, position in enumerate(kept)}
    return Rows(schema, read), Content(content.rows, columns)


def _extend(summary: Summary, column: pa.Array, layout: Layout) -> Summary:
    elements = to_elements(column, layout)
    summary = replace(
        summary,
        longest=max(summary.longest, int(layout.find_sizes(column).max(initial=0))),
        has_nulls=summary.has_nulls or elements.null_count > 0,
        has_values=summary.has_values or elements.null_count < len(elements),
    )
    if layout.is_text:
        longest = pc.max(pc.binary_length(elements)).as_py() or 0
        is_ascii = pc.all(pc.string_is_ascii(elements)).as_py() is not False
        has_controls = pc.any(pc.match_substring_regex(elements, _CONTROLS)).as_py() is True
        return replace(
            summary,
            width=max(summary.width, longest),
            is_ascii=summary.is_ascii and is_ascii,
            has_controls=summary.has_controls or has_controls,
        )
    if layout.is_integer:
        found = pc.min_max(elements).as_py()
        lows = [each for each in (summary.low, found["min"]) if each is not None]
        highs = [each for each in (summary.high, found["max"]) if each is not None]
        return replace(summary, low=min(lows, default=None), high=max(highs, default=None))
    return summary
