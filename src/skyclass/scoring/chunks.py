"""Read the rows of a piece in chunks, with the column names of the observations table."""

import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skyclass.errors import CatalogError
from skyclass.scoring.inputs import Input, Piece, translate_errors
from skyclass.survey.features import INPUTS, MAX_INPUT, Mode
from skyclass.survey.observation import CLASSES, KEY, OPTIONAL_COLUMNS, POSITION, is_sentinel
from skyclass.survey.optional import describe_valid, find_discarded
from skyclass.tables.files import (
    TableFile,
    decode_labels,
    find_columns,
    is_dereddened,
    read_integers,
    read_numbers,
)
from skyclass.tables.files.numbers import parse_numbers
from skyclass.tables.predictions import SOURCE_ID
from skyclass.tables.regroup import regroup

logger = logging.getLogger(__name__)

CHUNK_ROWS = 200_000
"""Number of rows that are read and predicted together."""

_CLASS = "class"
_EXTINCTION = "extinction_r"


def read_chunks(
    source: Input, piece: Piece, mode: Mode, start_row: int, optional: Sequence[str] = ()
) -> Iterator[pa.Table]:
    """Read the rows of a piece from row `start_row` on, `CHUNK_ROWS` at a time.

    Args:
        source: The input.
        piece: The piece.
        mode: Mode of the model.
        start_row: Number of rows to skip.
        optional: Optional inputs to read if the input has them.

    Yields:
        Tables with `KEY` or `source_id`, the inputs of the mode, and `class` and the optional
        inputs if the input has them. Null is not measured.

    Raises:
        CatalogError: A column is missing, or a value has the wrong type; the message names it.
        StoreError: The object store is unreachable.
    """
    with translate_errors(source.uri, source.endpoint):
        file = source.open_piece(piece)
        columns = _find_columns(file, mode, optional, source.columns)
        yield from regroup(_convert_rows(source, file, columns, start_row, optional), CHUNK_ROWS)


def _convert_rows(
    source: Input,
    file: TableFile,
    columns: dict[str, int],
    start_row: int,
    optional: Sequence[str],
) -> Iterator[pa.Table]:
    """Yield the rows of a file from row `start_row` on, as the file is divided."""
    is_corrected = _EXTINCTION in optional and is_dereddened(file, columns)
    if is_corrected:  # 0 even if a column was named, as for `skyclass predict`
        columns = {name: columns[name] for name in columns if name != _EXTINCTION}
    position = 0
    for chunk in file.read(list(columns.values()), CHUNK_ROWS):
        first_row, position = position, position + chunk.rows
        table = pa.table(
            {
                name: _convert(source, file, name, columns[name], column, first_row)
                for name, column in zip(columns, chunk.columns, strict=True)
            }
        )
        if is_corrected:
            table = table.append_column(_EXTINCTION, pa.array(np.zeros(chunk.rows)))
        yield table.slice(max(start_row - first_row, 0))


def _find_columns(
    file: TableFile, mode: Mode, optional: Sequence[str], names: Mapping[str, str]
) -> dict[str, int]:
    """Return the positions of the columns that scoring needs."""
    columns = find_columns(file, INPUTS[mode], (*KEY, SOURCE_ID, _CLASS, *optional), names)
    if set(KEY) <= set(columns):
        columns.pop(SOURCE_ID, None)  # an object with a spectrum is identified by its key
    elif SOURCE_ID not in columns:
        raise CatalogError(
            f"{file.name}: no key columns: add {', '.join(KEY)}, or {SOURCE_ID} for photometry "
            "alone"
        )
    return columns


def _convert(
    source: Input,
    file: TableFile,
    name: str,
    position: int,
    column: pa.ChunkedArray,
    first_row: int,
) -> pa.Array | pa.ChunkedArray:
    """Convert a column of the file to the type that scoring needs."""
    if name in (*KEY, SOURCE_ID):
        return read_integers(file, position, column, first_row)
    if name in (*POSITION, *OPTIONAL_COLUMNS):
        return _convert_optional(file, name, column)
    if name != _CLASS:
        values = read_numbers(file, position, column, first_row)
        is_unusable = is_sentinel(values) | ~(np.abs(values) <= MAX_INPUT)  # as at the endpoint
        return pa.array(np.where(is_unusable, np.nan, values), from_pandas=True)
    labels, _ = decode_labels(column, source.codes, file.name)
    unknown = pc.invert(pc.is_in(labels, pa.array([*CLASSES, None], pa.string())))
    if pc.any(unknown).as_py():
        row = pc.index(unknown, True).as_py()
        raise CatalogError(
            f"{file.name}, {file.locate(first_row + row)}: {_CLASS} is {labels[row].as_py()!r}, "
            f"expected one of {', '.join(CLASSES)}: correct it, or rename a column that holds "
            "something else"
        )
    return labels


def _convert_optional(file: TableFile, name: str, column: pa.ChunkedArray) -> pa.Array:
    """Convert an optional input; an invalid value counts as not measured, as in an ingest."""
    values, unreadable = parse_numbers(column)
    if name in OPTIONAL_COLUMNS:
        not_measured, invalid = find_discarded(name, values)
        values = np.where(not_measured | invalid, np.nan, values)
        unreadable |= invalid
    if unreadable.any():
        logger.warning(
            "%s: %d values of %s are not used: they are no numbers, or %s",
            file.name,
            unreadable.sum(),
            name,
            describe_valid(name),
        )
    return pa.array(values, from_pandas=True)
