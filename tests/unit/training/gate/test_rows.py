"""The rows that the gate evaluates, and their slices."""

import numpy as np
import pytest

from skyclass.survey.features import Mode
from skyclass.survey.observation import CLASSES, FIRST_MJD, Era
from skyclass.training.gate.comparison import compare_holdouts
from skyclass.training.gate.rows import MIN_ROWS, HeldOutRows, find_slices
from tests.support.gate import make_dataset_of_eras


def make_rows(size: int, label: int = 0, r: float = 17.0, night: int = 52_000) -> HeldOutRows:
    return HeldOutRows(
        labels=np.full(size, label),
        r=np.full(size, r),
        nights=np.full(size, night),
        is_newest=np.zeros(size, dtype=bool),
    )


@pytest.mark.parametrize(
    ("r", "night", "name"),
    [
        (17.999, 52_000, "QSO, r < 18, legacy"),
        (18.0, 52_000, "QSO, r 18 to 20, legacy"),
        (21.0, FIRST_MJD[Era.BOSS], "QSO, r 21 to 22, boss"),
        (22.0, FIRST_MJD[Era.EBOSS], "QSO, r > 22, eboss"),
    ],
)
def test_slice_of_a_row(r: float, night: int, name: str) -> None:
    (part,) = find_slices(make_rows(MIN_ROWS, CLASSES.index("QSO"), r, night))
    assert part.name == name
    assert part.members.tolist() == list(range(MIN_ROWS))


def test_slice_with_too_few_rows_is_left_out() -> None:
    assert list(find_slices(make_rows(MIN_ROWS - 1))) == []


def test_too_few_newest_rows_are_not_compared() -> None:
    rows = make_rows(MIN_ROWS - 1)
    predictions = np.tile([0.8, 0.1, 0.1], (MIN_ROWS - 1, 1))
    groups = {each.group for each in compare_holdouts(rows, predictions, predictions)}
    assert groups == {"random_holdout"}


def test_rows_of_a_dataset_are_its_random_holdout() -> None:
    dataset = make_dataset_of_eras(Mode.PHOTOMETRIC, rows_per_era=500)
    rows, held_out = HeldOutRows.from_dataset(dataset), dataset.random_holdout
    assert [CLASSES[label] for label in rows.labels] == dataset.labels[held_out].tolist()
    np.testing.assert_array_equal(rows.is_newest, dataset.temporal_holdout[held_out])
    assert rows.nights[rows.is_newest].min() > rows.nights[~rows.is_newest].max()
