"""Samples above a purity cut are as pure as promised."""

import numpy as np
import pytest

from skyclass.registry.patterns import NO_GROUPS, name_pattern
from skyclass.registry.purity import PURITIES, PurityCuts
from skyclass.survey.features import InputGroup
from skyclass.training.uncertainty.calibration_rows import CalibrationRows
from skyclass.training.uncertainty.purity_cuts import find_cuts, find_purity_cuts
from tests.support.uncertainty import draw_rows, make_patterns


@pytest.fixture(scope="module")
def cuts() -> PurityCuts:
    return find_purity_cuts(make_patterns(draw_rows(3_000, seed=0, sharpness=4)))


@pytest.mark.parametrize("purity", PURITIES)
def test_predicted_samples_are_as_pure_as_promised_with_the_confidence(purity: float) -> None:
    """Of 60 samples (20 calibrations, three classes), 5 % may be less pure, but not by much."""
    rows = draw_rows(50_000, seed=1, sharpness=4)
    predicted = rows.probabilities.argmax(axis=1)
    found = []
    for seed in range(20):
        limits = find_cuts(draw_rows(2_000, seed + 2, sharpness=4))[PURITIES.index(purity)]
        chosen = rows.probabilities.max(axis=1) >= limits[predicted]
        for place in range(3):
            members = chosen & (predicted == place)
            if members.any():
                found.append((rows.labels[members] == place).mean())
    assert np.mean(np.array(found) < purity) <= 0.1
    assert min(found) > purity - 0.05


def test_certain_rows_fall_with_the_purity_asked_for(cuts: PurityCuts) -> None:
    probabilities = draw_rows(1_000, seed=1, sharpness=4).probabilities
    counts = [cuts.find_certain(probabilities, each, {}).sum() for each in (0.5, *PURITIES, 0.999)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == counts[1]
    assert counts[-1] == 0


def test_purity_that_few_rows_cannot_show_is_not_reached() -> None:
    rows = CalibrationRows(np.repeat([0, 1, 2], 50), np.repeat(np.eye(3), 50, axis=0))
    found = find_purity_cuts(make_patterns(rows))
    assert found.cuts[NO_GROUPS][PURITIES.index(0.9)] == (0, 0, 0)  # all
    assert found.cuts[NO_GROUPS][PURITIES.index(0.95)] == (None, None, None)  # needs 59 rows
    assert not found.find_certain(np.eye(3), 0.95, {}).any()


def test_completeness_is_the_share_of_a_class_above_its_cut(cuts: PurityCuts) -> None:
    rows = draw_rows(3_000, seed=0, sharpness=4)
    certain = cuts.find_certain(rows.probabilities, 0.9, {})
    correct = rows.probabilities.argmax(axis=1) == rows.labels
    for place, completeness in enumerate(cuts.completeness[NO_GROUPS][PURITIES.index(0.9)]):
        of_class = rows.labels == place
        assert completeness == pytest.approx((certain & correct)[of_class].mean(), abs=1e-4)


def test_unknown_pattern_and_unknown_groups_have_the_highest_cuts() -> None:
    sharp, blurred = draw_rows(3_000, 0, sharpness=4), draw_rows(300, 1, sharpness=1)
    found = find_purity_cuts({NO_GROUPS: [blurred], name_pattern([InputGroup.PSF]): [sharp]})
    probabilities = draw_rows(500, seed=2, sharpness=4).probabilities
    present, absent = np.ones(500, dtype=bool), np.zeros(500, dtype=bool)
    counts = [
        found.find_certain(probabilities, 0.9, groups).sum()
        for groups in ({InputGroup.PSF: present}, {InputGroup.PSF: absent}, None)
    ]
    assert counts[0] > counts[1]
    assert counts[2] == counts[1]


def test_document_is_read_back(cuts: PurityCuts) -> None:
    again = PurityCuts.model_validate_json(cuts.model_dump_json())
    probabilities = draw_rows(100, seed=1).probabilities
    assert again == cuts
    assert (
        again.find_certain(probabilities, 0.9, {}) == cuts.find_certain(probabilities, 0.9, {})
    ).all()
    assert not cuts.find_certain(np.empty((0, 3)), 0.9, {}).size
