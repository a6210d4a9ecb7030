"""VOTable 1.4 documents with their rows as XML (TABLEDATA), written row by row.

Missing scalars are empty cells, and missing integers of an array a value that no row has.
VOTable has no signed bytes and no unsigned integers of more than 8 bits: they become wider
signed ones.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO
from xml.sax import saxutils

import pyarrow as pa

from skyclass.errors import CatalogError
from skyclass.tables.catalogue.fields import (
    Parameter,
    convert_unit,
    list_layouts,
    read_metadata,
    read_parameters,
)
from skyclass.tables.catalogue.layout import WIDER, Layout, find_unused, to_elements
from skyclass.tables.catalogue.rows import Content, Rows, Summary

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
_DATA_ORIGIN = (
    *("citation", "reference_url", "resource_version", "rights_uri", "rights", "creator"),
    *("journal", "article", "cites", "is_derived_from", "original_date", "publication_date"),
    *("last_update_date", "publisher", "server_software", "contact"),
)
"""Facts that IVOA's note "Data Origin in the VO" expects as INFO elements."""

_SPECIAL = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}
_NOT_IN_ID = re.compile(r"[^\w.-]", re.ASCII)
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
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
            texts = [blank if text is None else _SPECIAL.get(text, text) for text in texts]
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
    described = read_metadata(rows.schema.metadata)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(_START)
        ids = _Ids()
        label = ids.make_attributes(described["name"]) + " " if "name" in described else ""
        file.write(f'<TABLE {label}nrows="{content.rows}">\n')
        file.writelines(_describe(described))
        fields = list(_make_fields(rows.schema, columns, ids))  # before others take their ids
        facts = read_parameters(rows.schema)
        for key in (key for key in facts if key in _DATA_ORIGIN):
            file.write(f"<INFO {ids.make_attributes(key)} value={_quote(str(facts[key]))}/>\n")
        for key in (key for key in facts if key not in _DATA_ORIGIN):
            file.write(_make_parameter(key, facts[key], ids))
        file.writelines(fields)
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


class _Ids:
    """Unique XML ids like names; readers that show ids then show names where they can."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def make_attributes(self, name: str) -> str:
        """Return the attributes ID and name."""
        text = _NOT_IN_ID.sub("_", name)
        text = text if text[:1].isalpha() or text[:1] == "_" else f"_{text}"
        while text in self._used:
            text += "_"
        self._used.add(text)
        return f'ID="{text}" name={_quote(name)}'


def _make_fields(schema: pa.Schema, columns: Sequence[Column], ids: _Ids) -> Iterator[str]:
    for field, column in zip(schema, columns, strict=True):
        described = read_metadata(field.metadata)
        if "unit" in described:
            described["unit"] = convert_unit(described["unit"], "vounit")
        attributes = {"datatype": column.datatype, "arraysize": _find_arraysize(column.layout)}
        attributes |= {key: described.get(key, "") for key in ("unit", "ucd", "utype", "xtype")}
        text = "".join(f" {key}={_quote(value)}" for key, value in attributes.items() if value)
        yield f"<FIELD {ids.make_attributes(field.name)}{text}>\n"
        yield from _describe(described)
        if column.null is not None:
            yield f'<VALUES null="{column.null}"/>\n'
        yield "</FIELD>\n"


def _find_arraysize(layout: Layout) -> str:
    """Return the sizes of the dimensions, that of the fastest one first."""
    sizes = [str(size) for size in layout.shape[::-1]]
    return "x".join([*sizes, *(["*"] if layout.is_variable or layout.is_text else [])])


def _make_parameter(key: str, value: Parameter, ids: _Ids) -> str:
    datatype = {bool: "boolean", int: "long", float: "double"}.get(type(value), "unicodeChar")
    text = f"{value}" if isinstance(value, str) else str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        text = _SPECIAL[str(value)]
    size = ' arraysize="*"' if datatype == "unicodeChar" else ""
    label = ids.make_attributes(key)
    return f'<PARAM {label} datatype="{datatype}"{size} value={_quote(text)}/>\n'


def _quote(text: str) -> str:
    return saxutils.quoteattr(_clean(text))


def _clean(text: str) -> str:
    """Replace control characters, which XML cannot hold in names and descriptions."""
    return _NOT_IN_XML.sub("?", text)


def _describe(described: dict[str, str]) -> Iterator[str]:
    if "description" in described:
        yield f"<DESCRIPTION>{_escape(_clean(described['description']))}</DESCRIPTION>\n"
