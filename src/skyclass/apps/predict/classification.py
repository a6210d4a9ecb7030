"""Classification of one object or a table with the predictors of both modes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from skyclass.client import BATCH_ROWS, PREDICTION_COLUMNS, Client, RowError
from skyclass.errors import ServingError
from skyclass.survey.features import INPUTS, MAGNITUDES, Mode
from skyclass.survey.observation import CLASSES
from skyclass.tables.classified import (
    append_predictions,
    check_names,
    check_output,
    write_classified,
)
from skyclass.tables.objects import read_objects
from skyclass.tables.prediction_log import PROBABILITIES

MODE_COLUMN = "mode"

Clients = Mapping[Mode, Client]


@dataclass(frozen=True)
class Prediction:
    """Prediction for one object.

    Attributes:
        mode: Mode of the model.
        predicted: Class with the highest probability.
        probabilities: Probability of each class.
        model_version: ID of the release.
        flags: Inputs outside their usual range; empty if there are none.
    """

    mode: Mode
    predicted: str
    probabilities: dict[str, float]
    model_version: str
    flags: str


def choose_mode(redshift: float | None) -> Mode:
    """Return the photometric mode for an unknown redshift, else the spectroscopic one."""
    return Mode.PHOTOMETRIC if redshift is None or pd.isna(redshift) else Mode.SPECTROSCOPIC


def classify_object(
    clients: Clients, magnitudes: Sequence[float | None], redshift: float | None
) -> Prediction:
    """Classify one object.

    Args:
        clients: Client of each mode.
        magnitudes: u, g, r, i, z (mag); None where the user left a field empty.
        redshift: Redshift (dimensionless); None selects the photometric model.

    Raises:
        ServingError: The predictor is unreachable or rejected the object.
    """
    mode = choose_mode(redshift)
    row = pd.DataFrame(
        [[*magnitudes, redshift]], columns=[*MAGNITUDES, "redshift"], dtype="float64"
    )
    try:
        (record,) = clients[mode].classify(row[list(INPUTS[mode])]).to_dict("records")
    except RowError as error:  # the number of the only row helps nobody
        raise ServingError(error.reason) from error
    return Prediction(
        mode=mode,
        predicted=str(record["predicted"]),
        probabilities={
            name: float(record[column]) for name, column in zip(CLASSES, PROBABILITIES, strict=True)
        },
        model_version=str(record["model_version"]),
        flags=str(record["flags"]),
    )


def classify_table(
    clients: Clients, file: Path, folder: Path, progress: Callable[[int, int], None]
) -> tuple[Path, pa.Table]:
    """Classify a table; rows without a redshift are sent to the photometric model.

    Args:
        clients: Client of each mode.
        file: CSV or Parquet file with the columns u, g, r, i, z and optionally redshift.
        folder: Folder for the result.
        progress: Called with the number of classified rows and of all rows.

    Returns:
        The path of a CSV file with the predictions beside the rows, and its content.

    Raises:
        CatalogError: The file cannot be read, lacks a column, or has a value that is no number.
        ServingError: The predictor is unreachable or rejected a row.
    """
    objects = read_objects(file, MAGNITUDES, ["redshift"])
    check_names(objects, [*PREDICTION_COLUMNS, MODE_COLUMN])
    check_output(objects, target=None)
    inputs = objects.inputs
    if "redshift" not in inputs.columns:
        inputs = inputs.assign(redshift=float("nan"))
    progress(0, len(inputs))
    batches, done = [], 0
    for mode, batch in _split_batches(inputs):
        try:
            predictions = clients[mode].classify(batch)
        except RowError as error:
            row = int(batch.index[error.row])
            raise ServingError(f"{objects.locate(row)}: {error.reason}") from error
        batches.append(predictions.assign(**{MODE_COLUMN: str(mode)}))
        done += len(batch)
        progress(done, len(inputs))
    result = append_predictions(objects, pd.concat(batches).sort_index())
    target = folder / f"{file.stem}-classified.csv"
    write_classified(objects, result, target)
    return target, result


def _split_batches(inputs: pd.DataFrame) -> Iterator[tuple[Mode, pd.DataFrame]]:
    has_redshift = inputs["redshift"].notna()
    for mode, part in (
        (Mode.SPECTROSCOPIC, inputs[has_redshift]),
        (Mode.PHOTOMETRIC, inputs[~has_redshift]),
    ):
        for start in range(0, len(part), BATCH_ROWS):
            yield mode, part.iloc[start : start + BATCH_ROWS]
