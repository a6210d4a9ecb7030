"""Conversion between Arrow and the tables of astropy."""

from typing import Any

import numpy as np
import pyarrow as pa

from skyclass.tables.catalogue.fields import convert_unit, read_metadata, read_parameters
from skyclass.tables.catalogue.layout import Layout, find_layout, to_arrays


def to_astropy(table: pa.Table) -> Any:
    """Convert a table to an `astropy.table.Table`.

    Args:
        table: Columns with layouts. A missing value is masked; of lists of any length the elements.

    Returns:
        The table. UCDs and what else describes a column are in its `meta`.
    """
    from astropy.table import Table

    described = read_metadata(table.schema.metadata)
    meta: dict[str, Any] = {
        key: described[key] for key in ("name", "description") if key in described
    }
    result = Table(meta=meta | read_parameters(table.schema))
    for place, field in enumerate(table.schema):
        layout = find_layout(field.type)
        assert layout is not None, field  # callers check it
        result[field.name] = make_column(field, table.column(place), layout)
    return result


def make_column(field: pa.Field, column: pa.ChunkedArray, layout: Layout) -> Any:
    """Convert a column to one of astropy, with its unit, description and other facts.

    Args:
        field: Name and metadata.
        column: The values.
        layout: Their layout.
    """
    from astropy.table import Column, MaskedColumn
    from astropy.units import Unit

    values, is_missing = to_arrays(column.combine_chunks(), layout)
    described = read_metadata(field.metadata)
    facts: dict[str, Any] = {"name": field.name, "description": described.pop("description", None)}
    if unit := described.pop("unit", ""):
        facts["unit"] = Unit(convert_unit(unit, "vounit"), parse_strict="silent")
    facts["meta"] = described
    if layout.is_variable:
        return Column(_split(column, layout, values, is_missing), dtype=object, **facts)
    if layout.is_text:
        values = values.astype(str)
    if is_missing.any():
        return MaskedColumn(values, mask=is_missing, **facts)
    return Column(values, **facts)


def _split(column: pa.ChunkedArray, layout: Layout, values: Any, is_missing: Any) -> Any:
    """Return an object array of one masked array per row."""
    sizes = layout.find_sizes(column.combine_chunks())
    elements = np.ma.array(values, mask=is_missing)
    rows = np.empty(len(sizes), dtype=object)
    for row, part in enumerate(np.split(elements, np.cumsum(sizes)[:-1])):
        rows[row] = part
    return rows
