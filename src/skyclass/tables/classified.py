"""Objects of users' files with their predictions, as new files."""

import csv
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from skyclass.errors import CatalogError, one_line
from skyclass.tables.catalogue.atomic import replace_file
from skyclass.tables.catalogue.columns import MODEL_RELEASE, describe_predictions
from skyclass.tables.catalogue.fields import add_parameters
from skyclass.tables.catalogue.rows import Rows, summarise
from skyclass.tables.catalogue.texts import parse_texts
from skyclass.tables.catalogue.write import (
    CATALOGUE_SUFFIXES,
    check_catalogue,
    is_catalogue,
    write_catalogue,
)
from skyclass.tables.files.text import TextTable
from skyclass.tables.objects import Objects

OUTPUT_SUFFIXES = (".csv", ".parquet", *CATALOGUE_SUFFIXES)
_BATCH_ROWS = 10_000


def check_names(objects: Objects, added: Iterable[str]) -> None:
    """Check that predictions can have their names beside the columns of the file.

    Args:
        objects: The objects.
        added: Names of the columns with the predictions.

    Raises:
        CatalogError: A column of the file has one of the names.
    """
    for name in added:
        if name in objects.rows.column_names:
            raise CatalogError(
                f"{objects.file.name}: column {name} has the name of a prediction: rename it, or "
                "set a prefix for the predictions"
            )


def check_output(objects: Objects, target: Path | None, added: Iterable[str] = ()) -> None:
    """Check that the columns of the file can be written.

    Args:
        objects: The objects.
        target: The output file; None for CSV on standard output.
        added: Names of the columns with the predictions.

    Raises:
        CatalogError: The format of the output cannot hold a column, or there is no folder for it.
    """
    if target and not target.parent.is_dir():
        raise CatalogError(f"{target}: there is no folder {target.parent}: create it")
    if target and is_catalogue(target):
        rows = _set_types(objects, objects.rows, target)
        for name in added:  # the values of predictions fit into every format
            rows = rows.append_column(name, pa.nulls(len(rows), pa.string()))
        source = Rows.from_table(rows)
        check_catalogue(source, summarise(source), target, objects.file.name)
    for field in objects.rows.schema:
        if not _has_types(target) and not _fits_csv(field.type):
            raise CatalogError(
                f"{objects.file.name}: column {field.name} has type {field.type}, which CSV cannot "
                "hold: choose an output file that ends with .parquet"
            )


def append_predictions(objects: Objects, predictions: pd.DataFrame, prefix: str = "") -> pa.Table:
    """Return the columns of the file, unchanged, with the predictions behind them.

    Args:
        objects: The objects.
        predictions: One row per object, in the same order.
        prefix: Prefix of the names of the added columns.

    Returns:
        The columns. The fields of predictions have unit, UCD and description as metadata, and the
        schema names the release of the model.
    """
    added = describe_predictions(predictions, prefix)
    fields = pa.schema([*objects.rows.schema, *added.schema], objects.rows.schema.metadata)
    release = added.schema.metadata[MODEL_RELEASE.encode()].decode()
    schema = add_parameters(fields, {MODEL_RELEASE: release})
    return pa.Table.from_arrays([*objects.rows.columns, *added.columns], schema=schema)


def write_classified(objects: Objects, rows: pa.Table, target: Path | None) -> None:
    """Write objects with their predictions in the format of the target's suffix.

    In Parquet, inputs and keys of a text file become numbers, and its other columns stay text. In
    catalogues, all columns of numbers do, and predictions that are unknown for all rows are left
    out: astropy reads unknown booleans of FITS as false. The target is replaced when the output is
    complete.

    Args:
        objects: The objects.
        rows: The result of `append_predictions`.
        target: The file; None for CSV on standard output.

    Raises:
        CatalogError: The file cannot be written.
    """
    try:
        if target is None:
            _write_csv(rows, sys.stdout)
            return
        rows = _set_types(objects, rows, target)
        with replace_file(target) as path:
            if is_catalogue(target):
                rows = _drop_unknown(rows, objects.rows.num_columns)
                source = Rows.from_table(rows)
                write_catalogue(source, summarise(source), path, target, objects.file.name)
            elif _has_types(target):
                pq.write_table(rows, path)
            else:
                with path.open("w", encoding="utf-8", newline="") as output:
                    _write_csv(rows, output)
    except OSError as error:
        raise CatalogError(
            f"{target or 'standard output'}: cannot be written ({one_line(error)})"
        ) from error


def _drop_unknown(rows: pa.Table, first: int) -> pa.Table:
    """Leave out columns from a position on that have no value in any row."""
    columns = rows.columns
    kept = [
        place
        for place, column in enumerate(columns)
        if place < first or column.null_count < rows.num_rows
    ]
    return rows.select(kept)


def _write_csv(rows: pa.Table, output: TextIO) -> None:
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(rows.column_names)
    for batch in rows.to_batches(_BATCH_ROWS):
        texts = (column.cast(pa.string()).to_pylist() for column in batch.columns)
        writer.writerows(zip(*texts, strict=True))


def _has_types(target: Path | None) -> bool:
    """Return whether the format of an output has types, unlike CSV."""
    return target is not None and target.suffix.lower() != ".csv"


def _fits_csv(kind: pa.DataType) -> bool:
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return False
    try:
        pa.nulls(0, kind).cast(pa.string())
    except pa.ArrowException:
        return False
    return True


def _set_types(objects: Objects, rows: pa.Table, target: Path) -> pa.Table:
    """Convert columns of a text file to numbers, if the format of the output has types."""
    if not _has_types(target):
        return rows
    for name, position in objects.positions.items():
        if pa.types.is_string(rows.column(position).type):
            values = pa.array(objects.inputs[name], from_pandas=True)
            rows = _set_column(rows, position, pa.chunked_array([values]))
    if is_catalogue(target) and isinstance(objects.file, TextTable):
        for position in range(objects.rows.num_columns):
            if pa.types.is_string(rows.column(position).type):
                rows = _set_column(rows, position, parse_texts(rows.column(position)))
    return rows


def _set_column(rows: pa.Table, position: int, values: pa.ChunkedArray) -> pa.Table:
    return rows.set_column(position, rows.field(position).with_type(values.type), values)
