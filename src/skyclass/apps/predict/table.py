"""Classification of a table with the predictors of both modes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa

from skyclass.apps.predict.classification import NO_CERTAINTY, Certainty, Clients
from skyclass.client import BATCH_ROWS, RowError, list_columns
from skyclass.errors import ServingError
from skyclass.survey.features import MAGNITUDES, OPTIONAL_INPUTS, Mode
from skyclass.tables.classified import (
    OUTPUT_SUFFIXES,
    append_predictions,
    check_names,
    check_output,
    write_classified,
)
from skyclass.tables.objects import read_objects

MODE_COLUMN = "mode"


def classify_table(
    clients: Clients,
    file: Path,
    folder: Path,
    progress: Callable[[int, int], None],
    certainty: Certainty = NO_CERTAINTY,
    options: str = "",
) -> tuple[Path, pa.Table]:
    """Classify a table; rows without a redshift are sent to the photometric model.

    Args:
        clients: Client of each mode.
        file: A table with the columns u, g, r, i, z, optionally redshift, and the optional inputs
            of the photometric model.
        folder: Folder for the result.
        progress: Called with the number of classified rows and of all rows.
        certainty: What is requested beside the probabilities.
        options: Table and columns of the file, such as `hdu=2&z=psfMag_z`; also with the question
            mark that errors show.

    Returns:
        The path of a file of the same format with the predictions beside the rows, and its content.

    Raises:
        CatalogError: The file cannot be read, lacks a column, or has a value that is no number.
        ServingError: The predictor is unreachable or rejected a row.
    """
    optional = OPTIONAL_INPUTS[Mode.PHOTOMETRIC]
    objects = read_objects(
        f"{file}?{options.removeprefix('?')}", MAGNITUDES, ["redshift", *optional]
    )
    inputs = objects.inputs
    if "redshift" not in inputs.columns:
        inputs = inputs.assign(redshift=float("nan"))
    names = [*list_columns(inputs, Mode.PHOTOMETRIC, certainty.coverage), MODE_COLUMN]
    target = folder / name_result(file)
    check_names(objects, names)
    check_output(objects, target, names)
    progress(0, len(inputs))
    batches, done = [], 0
    for mode, batch in _split_batches(inputs):
        try:
            predictions = clients[mode].classify(
                batch, coverage=certainty.coverage, purity=certainty.purity
            )
        except RowError as error:
            row = int(batch.index[error.row])
            raise ServingError(f"{objects.locate(row)}: {error.reason}") from error
        batches.append(predictions.assign(**{MODE_COLUMN: str(mode)}))
        done += len(batch)
        progress(done, len(inputs))
    found = pd.concat(batches).sort_index()
    result = append_predictions(objects, found[[name for name in names if name in found.columns]])
    write_classified(objects, result, target)
    return target, result


def name_result(file: Path) -> str:
    """Return the name of the file with predictions, in the same format if it can be written."""
    suffix = file.suffix.lower()
    return f"{file.stem}-classified{suffix if suffix in OUTPUT_SUFFIXES else '.csv'}"


def _split_batches(inputs: pd.DataFrame) -> Iterator[tuple[Mode, pd.DataFrame]]:
    has_redshift = inputs["redshift"].notna()
    for mode, part in (
        (Mode.SPECTROSCOPIC, inputs[has_redshift]),
        (Mode.PHOTOMETRIC, inputs[~has_redshift]),
    ):
        for start in range(0, len(part), BATCH_ROWS):
            yield mode, part.iloc[start : start + BATCH_ROWS]
