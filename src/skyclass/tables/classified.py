"""Objects of users' files with their predictions, as new files."""

import csv
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from skyclass.errors import CatalogError, one_line
from skyclass.tables.objects import Objects

OUTPUT_SUFFIXES = (".csv", ".parquet")
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


def check_output(objects: Objects, target: Path | None) -> None:
    """Check that the columns of the file can be written.

    Args:
        objects: The objects.
        target: The output file; None for CSV on standard output.

    Raises:
        CatalogError: A column has a type that does not fit into CSV, or there is no folder for the
            output.
    """
    if target and not target.parent.is_dir():
        raise CatalogError(f"{target}: there is no folder {target.parent}: create it")
    for field in objects.rows.schema:
        if not _is_parquet(target) and not _fits_csv(field.type):
            raise CatalogError(
                f"{objects.file.name}: column {field.name} has type {field.type}, which CSV cannot "
                "hold: choose an output file that ends with .parquet"
            )


def append_predictions(objects: Objects, predictions: pd.DataFrame) -> pa.Table:
    """Return the columns of the file, unchanged, with the predictions behind them.

    Args:
        objects: The objects.
        predictions: One row per object, in the same order.
    """
    added = pa.Table.from_pandas(predictions, preserve_index=False)
    names = [*objects.rows.column_names, *added.column_names]
    return pa.table([*objects.rows.columns, *added.columns], names)


def write_classified(objects: Objects, rows: pa.Table, target: Path | None) -> None:
    """Write objects with their predictions, as Parquet if the target has that suffix, else as CSV.

    In Parquet, inputs and keys of a text file become numbers; its other columns stay text.

    Args:
        objects: The objects.
        rows: The result of `append_predictions`.
        target: The file; None for standard output.

    Raises:
        CatalogError: The file cannot be written.
    """
    try:
        if target and _is_parquet(target):
            pq.write_table(_set_types(objects, rows), target)
            return
        with ExitStack() as stack:
            output = sys.stdout
            if target:
                output = stack.enter_context(target.open("w", encoding="utf-8", newline=""))
            writer = csv.writer(output, lineterminator="\n")
            writer.writerow(rows.column_names)
            for batch in rows.to_batches(_BATCH_ROWS):
                texts = (column.cast(pa.string()).to_pylist() for column in batch.columns)
                writer.writerows(zip(*texts, strict=True))
    except OSError as error:
        raise CatalogError(
            f"{target or 'standard output'}: cannot be written ({one_line(error)})"
        ) from error


def _is_parquet(target: Path | None) -> bool:
    return target is not None and target.suffix.lower() == ".parquet"


def _fits_csv(kind: pa.DataType) -> bool:
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return False
    try:
        pa.nulls(0, kind).cast(pa.string())
    except pa.ArrowException:
        return False
    return True


def _set_types(objects: Objects, rows: pa.Table) -> pa.Table:
    for name, position in objects.positions.items():
        if pa.types.is_string(rows.column(position).type):
            values = pa.array(objects.inputs[name], from_pandas=True)
            rows = rows.set_column(position, rows.column_names[position], values)
    return rows
