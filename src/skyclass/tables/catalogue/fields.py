"""Checks of columns and access to what describes them, common to all formats."""

import json
import warnings
from collections.abc import Mapping

import pyarrow as pa

from skyclass.errors import CatalogError
from skyclass.tables.catalogue.layout import Layout, find_layout

Parameter = str | int | float


def list_layouts(schema: pa.Schema, format_name: str, name: str) -> list[Layout]:
    """Return the layout of each column.

    Args:
        schema: The columns.
        format_name: The format in error messages.
        name: The table in error messages.

    Raises:
        CatalogError: A column has no name, a duplicate or unprintable one, or a type without a
            layout.
    """
    layouts = []
    for field in schema:
        problem = _find_problem(schema, field.name)
        if problem:
            raise CatalogError(
                f"{name}: {problem}, which {format_name} cannot hold: rename it, or choose an "
                "output file that ends with .csv"
            )
        layout = find_layout(field.type)
        if layout is None:
            raise CatalogError(
                f"{name}: column {field.name} has type {field.type}, which {format_name} cannot "
                "hold: choose an output file that ends with .parquet"
            )
        layouts.append(layout)
    return layouts


def _find_problem(schema: pa.Schema, label: str) -> str:
    if not label.strip():
        return "a column has no name"
    if not label.isprintable():
        return f"column {label!r} has control characters in its name"
    return f"duplicate column {label}" if schema.names.count(label) > 1 else ""


def read_metadata(metadata: dict[bytes, bytes] | None) -> dict[str, str]:
    """Return the metadata of a field or of a schema as text, without those of other programs."""
    found = {key.decode(): value.decode() for key, value in (metadata or {}).items()}
    return {key: value for key, value in found.items() if key not in _FOREIGN and value}


def read_parameters(schema: pa.Schema) -> dict[str, Parameter]:
    """Return the facts about a table besides its name and description.

    The readers of files keep them as JSON in the metadata `meta` of the schema.
    """
    found = json.loads(read_metadata(schema.metadata).get("meta", "{}"))
    return {key: value for key, value in found.items() if isinstance(value, str | int | float)}


def add_parameters(schema: pa.Schema, parameters: Mapping[str, Parameter]) -> pa.Schema:
    """Return a schema with more facts about the table."""
    known = {**read_parameters(schema), **parameters}
    kept = {key: value for key, value in (schema.metadata or {}).items() if key != b"pandas"}
    return schema.with_metadata({**kept, b"meta": json.dumps(known).encode()})


def convert_unit(unit: str, format_name: str) -> str:
    """Convert the text of a unit to the syntax of a format; one that is unknown stays as it is.

    Args:
        unit: A unit in the syntax of any catalogue format.
        format_name: Name of the syntax in astropy: `fits` or `vounit`.

    Examples:
        >>> convert_unit("erg s-1 cm-2", "vounit")
        'cm**-2.erg.s**-1'
    """
    from astropy.units import Unit, UnitsWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnitsWarning)  # a unit that should be written otherwise
        try:
            return str(Unit(unit).to_string(format_name))
        except ValueError:
            return unit


_FOREIGN = ("pandas", "ARROW:schema")
"""Metadata about the storage of a table, not about its content."""
