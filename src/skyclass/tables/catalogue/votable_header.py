"""Elements of a VOTable above its rows: the table, facts about it, and its fields."""

import math
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from xml.sax import saxutils

import pyarrow as pa

from skyclass.tables.catalogue.fields import (
    Parameter,
    convert_unit,
    read_metadata,
    read_parameters,
)
from skyclass.tables.catalogue.layout import Layout

if TYPE_CHECKING:
    from skyclass.tables.catalogue.votable import Column

SPECIAL_NUMBERS = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}
"""Texts of numbers that XML Schema and VOTable write otherwise than Arrow."""

_DATA_ORIGIN = (
    *("citation", "reference_url", "resource_version", "rights_uri", "rights", "creator"),
    *("journal", "article", "cites", "is_derived_from", "original_date", "publication_date"),
    *("last_update_date", "publisher", "server_software", "contact"),
)
"""Facts that IVOA's note "Data Origin in the VO" expects as INFO elements."""

_NOT_IN_ID = re.compile(r"[^\w.-]", re.ASCII)
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")


def make_head(schema: pa.Schema, columns: Sequence["Column"], rows: int) -> Iterator[str]:
    """Yield the elements from the start of the table to its last field.

    Args:
        schema: Columns with their metadata, and that of the table.
        columns: How they are stored.
        rows: Number of rows.
    """
    ids, described, facts = _Ids(), read_metadata(schema.metadata), read_parameters(schema)
    label = ids.make_attributes(described["name"]) + " " if "name" in described else ""
    yield f'<TABLE {label}nrows="{rows}">\n'
    yield from _describe(described)
    fields = list(_make_fields(schema, columns, ids))  # before others take their ids
    for key in (key for key in facts if key in _DATA_ORIGIN):
        yield f"<INFO {ids.make_attributes(key)} value={_quote(str(facts[key]))}/>\n"
    for key in (key for key in facts if key not in _DATA_ORIGIN):
        yield _make_parameter(key, facts[key], ids)
    yield from fields


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


def _make_fields(schema: pa.Schema, columns: Sequence["Column"], ids: _Ids) -> Iterator[str]:
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
        text = SPECIAL_NUMBERS[str(value)]
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
        yield f"<DESCRIPTION>{saxutils.escape(_clean(described['description']))}</DESCRIPTION>\n"
