"""Tables of objects to classify, and of the answers, as people keep them."""

from pathlib import Path
from typing import TextIO

import pandas as pd
import pyarrow as pa

from skyclass.errors import ServingError

SUFFIXES = (".csv", ".parquet")


def read_objects(file: Path) -> pd.DataFrame:
    """Read a CSV or Parquet file with one row per object.

    Raises:
        ServingError: There is no such file, or it is not what its suffix says.
    """
    if file.suffix not in SUFFIXES:
        raise ServingError(f"{file}: neither .csv nor .parquet: convert it to one of them")
    try:
        return pd.read_csv(file) if file.suffix == ".csv" else pd.read_parquet(file)
    except FileNotFoundError:
        raise ServingError(f"{file}: no such file: check the path") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, pa.ArrowInvalid) as error:
        raise ServingError(f"{file}: not readable ({error}): check where it came from") from error


def write_predictions(answers: pd.DataFrame, target: Path | TextIO) -> None:
    """Write a table, as Parquet where the target's suffix says so, else as CSV."""
    if isinstance(target, Path) and target.suffix == ".parquet":
        answers.to_parquet(target, index=False)
    else:
        answers.to_csv(target, index=False)
