"""The reference: the rows that monitoring compares a release's predictions with."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from skyclass.survey.features import ALL_INPUTS
from skyclass.survey.observation import KEY, most_probable_classes
from skyclass.tables.log.schema import MAX_REFERENCE_ROWS, PROBABILITIES, REFERENCE_SCHEMA
from skyclass.training.dataset import Dataset


def make_reference(
    dataset: Dataset,
    probabilities: npt.NDArray[np.float64],
    seed: int,
    is_outside: npt.NDArray[np.bool_] | None = None,
) -> pd.DataFrame:
    """Join the random hold-out with the model's predictions for it.

    Args:
        dataset: The dataset of the training run.
        probabilities: Predictions for the random hold-out, shape (n, 3).
        seed: Selects the rows if the hold-out has more than `MAX_REFERENCE_ROWS`.
        is_outside: Rows of the random hold-out that are outside the domain, shape (n,).

    Returns:
        Columns of `REFERENCE_SCHEMA`, at most `MAX_REFERENCE_ROWS` rows. In photometric mode the
        redshift is null, as in the prediction log of that mode.
    """
    inputs = [name for name in ALL_INPUTS[dataset.mode] if name in dataset.rows]
    columns = [*KEY, *inputs, "class"]
    rows = dataset.rows.loc[dataset.random_holdout, columns].assign(
        predicted=most_probable_classes(probabilities),
        **dict(zip(PROBABILITIES, probabilities.T, strict=True)),
    )
    if is_outside is not None:
        rows["out_of_domain"] = is_outside
    rows = rows.reindex(columns=REFERENCE_SCHEMA.names)
    if len(rows) > MAX_REFERENCE_ROWS:
        rows = rows.sample(MAX_REFERENCE_ROWS, random_state=seed).sort_index()
    return rows
