"""Users' own tables: objects to classify, and their predictions."""

from pathlib import Path
from typing import TextIO

import pandas as pd
import pyarrow as pa

from skyclass.errors import ServingError, one_line

SUFFIXES = (".csv", ".parquet")


def read_objects(file: Path) -> pd.DataFrame:
    """Read a CSV or Parquet file with one row per object.

    Raises:
        ServingError: The file is missing, has another suffix, or cannot be parsed.
    """
    if file.suffix not in SUFFIXES:
        raise ServingError(
            f"{file}: unsupported suffix {file.suffix!r}: convert the file to .csv or .parquet"
        )
    try:
        return pd.read_csv(file) if file.suffix == ".csv" else pd.read_parquet(file)
    except FileNotFoundError:
        raise ServingError(f"{file}: no such file: check the path") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, pa.ArrowInvalid) as error:
        raise ServingError(
            f"{file}: not readable ({one_line(error)}): check where it came from"
        ) from error


def write_predictions(rows: pd.DataFrame, target: Path | TextIO) -> None:
    """Write a table as Parquet if the target has that suffix, else as CSV."""
    if isinstance(target, Path) and target.suffix == ".parquet":
        rows.to_parquet(target, index=False)
    else:
        rows.to_csv(target, index=False)
