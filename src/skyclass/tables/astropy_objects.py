"""Objects to classify in tables of astropy, and the tables with their predictions."""

from collections.abc import Mapping, Sequence

import pandas as pd
import pyarrow as pa
from astropy import units
from astropy.table import Column, Table

from skyclass.errors import CatalogError
from skyclass.tables.catalogue.astropy_tables import make_column
from skyclass.tables.catalogue.columns import MODEL_RELEASE, describe_predictions
from skyclass.tables.catalogue.layout import find_layout
from skyclass.tables.files.arrow import ArrowTable
from skyclass.tables.files.in_memory import to_arrow
from skyclass.tables.files.options import COLUMN_OPTIONS
from skyclass.tables.objects import Objects, make_objects

_NAME = "table"


def read_astropy_objects(
    table: Table,
    required: Sequence[str],
    optional: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
) -> Objects:
    """Read the objects of a table or a table of quantities.

    Angles are converted to degrees. Columns of coordinates, of structures and of other objects are
    passed over.

    Args:
        table: One row per object.
        required: Names of the inputs that it must have.
        optional: Names of the inputs that it can have.
        names: The table's name of each input that was named.

    Raises:
        CatalogError: The table has no rows, lacks a column, or has a value that is not a number, or
            no input has a name.
    """
    unknown = [name for name in names or {} if name not in COLUMN_OPTIONS]
    if unknown:
        raise CatalogError(
            f"{_NAME}: there is no input {unknown[0]!r}: correct the name, for example "
            f"{required[-1]}"
        )
    return make_objects(ArrowTable(_NAME, lambda: _convert(table)), required, optional, names)


def append_to_astropy(table: Table, predictions: pd.DataFrame) -> Table:
    """Return a table of the same class with the predictions behind its columns.

    Args:
        table: The table, which does not change.
        predictions: One row per row of the table, in the same order.
    """
    result = table.copy()
    added = describe_predictions(predictions)
    for field, column in zip(added.schema, added.columns, strict=True):
        layout = find_layout(field.type)
        assert layout is not None, field
        result[field.name] = make_column(field, column, layout)
    result.meta[MODEL_RELEASE] = added.schema.metadata[MODEL_RELEASE.encode()].decode()
    return result


def _convert(table: Table) -> pa.Table:
    plain = [
        name
        for name, column in table.columns.items()
        if isinstance(column, Column | units.Quantity) and not column.dtype.names
    ]
    if not plain:
        raise CatalogError(f"{_NAME}: no columns with numbers: add them")
    columns = Table(table[plain], copy=False)
    for name, column in columns.columns.items():
        if column.unit is not None and column.unit.physical_type == "angle":
            columns[name] = column.to(units.deg)
        elif column.dtype.char in "gG":  # more precision than Arrow has
            columns[name] = column.astype("f8" if column.dtype.char == "g" else "c16")
    return to_arrow(Table(columns, copy=False))
