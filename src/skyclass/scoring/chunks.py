"""Read the rows of a piece in chunks, with the column names of the observations table."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from skyclass.errors import CatalogError
from skyclass.scoring.inputs import Input, Piece, translate_errors
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import KEY
from skyclass.tables.predictions import SOURCE_ID

CHUNK_ROWS = 200_000
"""Number of rows that are scored and committed together."""

_READ_BUFFER_BYTES = 1 << 20
_ALIASES = {
    "mjd": ("mjd", "MJD"),
    "fiber_id": ("fiber_id", "fiberid", "fiberID", "fiber_ID"),
    SOURCE_ID: (SOURCE_ID, "objid", "objID", "obj_ID"),
}
"""Accepted names of a column, most preferred first."""


def read_chunks(source: Input, piece: Piece, mode: Mode, start_row: int) -> Iterator[pa.Table]:
    """Read the rows of a piece from row `start_row` on, `CHUNK_ROWS` at a time.

    Yields:
        Tables with `KEY` or `source_id`, the inputs of the mode, and `class` if the file has it.

    Raises:
        CatalogError: A column is missing; the message names it.
        StoreError: The object store is unreachable.
    """
    with (
        translate_errors(source.uri, source.endpoint),
        source.filesystem.open_input_file(piece.path) as file,
    ):
        parquet = pq.ParquetFile(file, buffer_size=_READ_BUFFER_BYTES)
        columns = _map_columns(parquet.schema_arrow.names, mode, source.uri)
        pending: list[pa.Table] = []
        position = 0
        for batch in parquet.iter_batches(CHUNK_ROWS, piece.row_groups, list(columns.values())):
            table = pa.table({ours: _to_string(batch[theirs]) for ours, theirs in columns.items()})
            batch_start, position = position, position + table.num_rows
            pending.append(table.slice(max(start_row - batch_start, 0)))
            while sum(part.num_rows for part in pending) >= CHUNK_ROWS:
                rows = pa.concat_tables(pending)
                yield rows.slice(0, CHUNK_ROWS)
                pending = [rows.slice(CHUNK_ROWS)]
        remainder = pa.concat_tables(pending) if pending else None
        if remainder is not None and remainder.num_rows:
            yield remainder


def _to_string(column: pa.Array) -> pa.Array:
    """Convert `string_view`, which delta-rs returns and few functions of Arrow accept."""
    return column.cast(pa.string()) if column.type == pa.string_view() else column


def _map_columns(names: Sequence[str], mode: Mode, uri: str) -> dict[str, str]:
    """Map the columns that scoring needs to their names in the file."""
    mapping = {}
    for ours in (SOURCE_ID, *KEY, *INPUTS[mode], "class"):
        theirs = [name for name in _ALIASES.get(ours, (ours,)) if name in names]
        if theirs:
            mapping[ours] = theirs[0]
    has_key = set(KEY) <= set(mapping)
    if not has_key and SOURCE_ID not in mapping:
        raise CatalogError(
            f"{uri}: no key columns: add {', '.join(KEY)}, or {SOURCE_ID} for photometry alone"
        )
    for name in INPUTS[mode]:
        if name not in mapping:
            raise CatalogError(
                f"{uri}: column {name} is missing, {mode} mode requires it: add it, or choose the "
                "other mode"
            )
    if has_key:
        mapping.pop(SOURCE_ID, None)  # an object with a spectrum is identified by its key
    return mapping
