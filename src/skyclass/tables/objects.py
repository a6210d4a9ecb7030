"""Objects to classify in users' files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from skyclass.survey.observation import KEY
from skyclass.tables.files import (
    TableFile,
    find_columns,
    is_dereddened,
    open_table,
    read_integers,
    read_numbers,
    split_options,
)

_CHUNK_ROWS = 100_000


@dataclass(frozen=True)
class Objects:
    """The objects of a file, in its order.

    Attributes:
        file: The file.
        rows: All of its columns, unchanged, with the schema of the file.
        inputs: Numbers of the model inputs, and plate, mjd and fiber_id where the file has them.
            Dereddened magnitudes have an extinction of 0, which the file need not have.
            The index is the position of the row.
        positions: Position in the file of each column of `inputs`.
    """

    file: TableFile
    rows: pa.Table
    inputs: pd.DataFrame
    positions: Mapping[str, int]

    def locate(self, row: int) -> str:
        """Name a row of the file in a message, by its position."""
        return f"{self.file.name}, {self.file.locate(row)}"


def read_objects(
    path: str | Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    encoding: str | None = None,
) -> Objects:
    """Read a file with one row per object.

    Args:
        path: A file of any format, and behind its name the table and columns that were chosen:
            `stars.fits?hdu=2&z=psfMag_z`.
        required: Names of the inputs that it must have.
        optional: Names of the inputs that it can have.
        encoding: Encoding of a text file; None for the one of a byte order mark, or UTF-8.

    Raises:
        CatalogError: The file cannot be read, has no rows, lacks a column, or has a value that is
            not a number.
    """
    address, options = split_options(str(path))
    file = open_table(
        address, Path(address).name, encoding=encoding or options.encoding, hdu=options.hdu
    )
    return make_objects(file, required, optional, options.columns)


def make_objects(
    file: TableFile,
    required: Sequence[str],
    optional: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
) -> Objects:
    """Read the objects of an open table.

    Args:
        file: The table.
        required: Names of the inputs that it must have.
        optional: Names of the inputs that it can have.
        names: The table's name of each input that was named.

    Raises:
        CatalogError: As of `read_objects`.
    """
    found = find_columns(file, required, (*optional, *KEY), names)
    if not set(KEY) <= set(found):
        found = {name: position for name, position in found.items() if name not in KEY}
    chunks = list(file.read(range(len(file.header)), _CHUNK_ROWS))
    columns = [
        pa.chunked_array([part for column in columns for part in column.chunks], columns[0].type)
        for columns in zip(*(chunk.columns for chunk in chunks), strict=True)
    ]
    rows = pa.table(columns, schema=file.schema)
    inputs: dict[str, pd.Series[Any]] = {}
    for name, position in found.items():
        if name in KEY:
            integers = read_integers(file, position, columns[position])
            inputs[name] = integers.to_pandas(types_mapper=pd.ArrowDtype)
        else:
            inputs[name] = pd.Series(read_numbers(file, position, columns[position]))
    if "extinction_r" in optional and is_dereddened(file, found):
        inputs["extinction_r"] = pd.Series(0.0, index=range(rows.num_rows))
    return Objects(file, rows, pd.DataFrame(inputs), found)
