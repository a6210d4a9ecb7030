"""What the prediction page asks the endpoints, whatever draws it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from skyclass.client import BATCH_ROWS, Client
from skyclass.errors import ServingError
from skyclass.survey.features import INPUTS, MAGNITUDES, Mode
from skyclass.survey.observation import CLASSES
from skyclass.tables.objects import read_objects, write_predictions
from skyclass.tables.prediction_log import PROBABILITIES

MODE = "mode"
"""Column of a table's answers: which model answered."""

Clients = Mapping[Mode, Client]


@dataclass(frozen=True)
class Answer:
    """What an endpoint says about one object.

    Attributes:
        mode: Which model answered.
        predicted: The class.
        probabilities: By class.
        model_version: The release that answered.
        flags: What is unusual about the object; empty when nothing is.
    """

    mode: Mode
    predicted: str
    probabilities: dict[str, float]
    model_version: str
    flags: str


def mode_of(redshift: float | None) -> Mode:
    """Which model can be asked: without a redshift the photometric one."""
    return Mode.PHOTOMETRIC if redshift is None or pd.isna(redshift) else Mode.SPECTROSCOPIC


def ask(clients: Clients, magnitudes: Sequence[float | None], redshift: float | None) -> Answer:
    """Ask about one object.

    Args:
        clients: One for each model.
        magnitudes: u, g, r, i, z; what is None was not typed.
        redshift: None leaves the photometric model to answer.

    Raises:
        ServingError: The endpoint refused, in its own words, or cannot be reached.
    """
    mode = mode_of(redshift)
    row = pd.DataFrame(
        [[*magnitudes, redshift]], columns=[*MAGNITUDES, "redshift"], dtype="float64"
    )
    try:
        (found,) = clients[mode].classify(row[list(INPUTS[mode])]).to_dict("records")
    except ServingError as error:  # its cause is what the endpoint said, before rows were counted
        raise ServingError(str(error.__cause__ or error)) from error
    return Answer(
        mode=mode,
        predicted=str(found["predicted"]),
        probabilities={
            name: float(found[column]) for name, column in zip(CLASSES, PROBABILITIES, strict=True)
        },
        model_version=str(found["model_version"]),
        flags=str(found["flags"]),
    )


def ask_about_table(
    clients: Clients, file: Path, folder: Path, progress: Callable[[int, int], None]
) -> tuple[Path, pd.DataFrame]:
    """Ask about a table; each row without a redshift goes to the photometric model.

    Args:
        clients: One for each model.
        file: A CSV file with the columns u, g, r, i, z and, where known, redshift.
        folder: Where the answers are written.
        progress: Told how many rows have been answered, of how many.

    Returns:
        A CSV file with the answers beside the rows, and its content.

    Raises:
        ServingError: A column is missing, the endpoint refused in its own words, or cannot be
            reached.
    """
    rows = read_objects(file)
    lacking = [name for name in MAGNITUDES if name not in rows.columns]
    if lacking:
        raise ServingError(f"the table has no column {lacking[0]}: it needs u, g, r, i, z")
    if rows.empty:
        raise ServingError("the table has no rows: put one object on each line below the header")
    if "redshift" not in rows.columns:
        rows = rows.assign(redshift=float("nan"))
    progress(0, len(rows))
    answers, done = [], 0
    for mode, part in _parts(rows):
        found = clients[mode].classify(part)
        answers.append(found.assign(**{MODE: str(mode)}))
        done += len(part)
        progress(done, len(rows))
    together = rows.join(pd.concat(answers))
    target = folder / f"{file.stem}-classified.csv"
    write_predictions(together, target)
    return target, together


def _parts(rows: pd.DataFrame) -> Iterator[tuple[Mode, pd.DataFrame]]:
    """The rows of each model, in requests."""
    seen = rows["redshift"].notna()
    for mode, part in ((Mode.SPECTROSCOPIC, rows[seen]), (Mode.PHOTOMETRIC, rows[~seen])):
        for start in range(0, len(part), BATCH_ROWS):
            yield mode, part.iloc[start : start + BATCH_ROWS]
