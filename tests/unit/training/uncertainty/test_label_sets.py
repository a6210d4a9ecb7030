"""Label sets contain the true class as often as promised, for each class and pattern."""

import numpy as np
import pytest

from skyclass.registry.label_sets import COVERAGES, LabelSets, format_labels
from skyclass.registry.patterns import NO_GROUPS, name_pattern
from skyclass.survey.features import InputGroup
from skyclass.training.uncertainty.calibration_rows import CalibrationRows
from skyclass.training.uncertainty.conformal import calibrate_label_sets
from tests.support.uncertainty import compute_class_coverage, draw_rows, make_patterns

ROWS = 3_000


@pytest.fixture(scope="module")
def label_sets() -> LabelSets:
    return calibrate_label_sets(make_patterns(draw_rows(ROWS, seed=0)))


@pytest.mark.parametrize("coverage", COVERAGES)
def test_each_class_is_covered_as_promised(label_sets: LabelSets, coverage: float) -> None:
    rows = draw_rows(20_000, seed=1)
    found = compute_class_coverage(label_sets.select(rows.probabilities, {}, coverage), rows.labels)
    # Three standard deviations of the share in a calibration set of 600 rows, the rarest class.
    assert (found > coverage - 3 * np.sqrt(coverage * (1 - coverage) / 600)).all()


def test_sets_keep_the_promise_on_average_over_calibrations_of_few_rows() -> None:
    rows = draw_rows(5_000, seed=1)
    found = [
        compute_class_coverage(
            calibrate_label_sets(make_patterns(draw_rows(100, seed))).select(
                rows.probabilities, {}, 0.9
            ),
            rows.labels,
        )
        for seed in range(2, 42)
    ]
    assert (np.mean(found, axis=0) > 0.895).all()


def test_sets_grow_with_the_coverage_and_are_never_empty(label_sets: LabelSets) -> None:
    probabilities = draw_rows(1_000, seed=1).probabilities
    sizes = [label_sets.select(probabilities, {}, each).sum(axis=1) for each in COVERAGES]
    assert (np.diff(sizes, axis=0) >= 0).all()
    assert (sizes[0] >= 1).all()


def test_coverage_is_rounded_up_to_the_next_stored_one(label_sets: LabelSets) -> None:
    probabilities = draw_rows(1_000, seed=1).probabilities
    between, next_higher = (label_sets.select(probabilities, {}, each) for each in (0.93, 0.95))
    assert (between == next_higher).all()
    assert label_sets.select(probabilities, {}, 0.9999).all()


@pytest.mark.parametrize(("rows", "is_enough"), [(18, False), (19, True)])
def test_class_with_too_few_rows_belongs_to_every_set(rows: int, is_enough: bool) -> None:
    labels = np.repeat([0, 1, 2], [rows, 200, 200])
    calibration = CalibrationRows(labels, np.full((len(labels), 3), 1 / 3))
    label_sets = calibrate_label_sets(make_patterns(calibration))
    selected = label_sets.select(np.array([[0.0, 0.6, 0.4]]), {}, 0.95)
    assert selected.tolist() == [[not is_enough, True, True]]


@pytest.mark.parametrize("digits", [1, 2])
def test_ties_keep_the_promise_in_single_precision(digits: int) -> None:
    """Trees give many rows the same probability, and ONNX rounds it to single precision."""
    rows = draw_rows(20_000, seed=1, digits=digits)
    label_sets = calibrate_label_sets(make_patterns(draw_rows(ROWS, seed=0, digits=digits)))
    selected = label_sets.select(rows.probabilities.astype(np.float32), {}, 0.9)
    assert (compute_class_coverage(selected, rows.labels) > 0.88).all()


def test_each_pattern_has_its_own_thresholds_and_an_unknown_one_the_lowest() -> None:
    sharp, blurred = draw_rows(ROWS, seed=0, sharpness=4), draw_rows(ROWS, seed=1, sharpness=1)
    with_psf = name_pattern([InputGroup.PSF])
    label_sets = calibrate_label_sets({NO_GROUPS: [blurred], with_psf: [sharp]})
    probabilities = np.repeat(draw_rows(300, seed=2).probabilities, 3, axis=0)
    groups = {
        InputGroup.PSF: np.tile([False, True, False], 300),
        InputGroup.WISE: np.tile([False, False, True], 300),
    }
    selected = label_sets.select(probabilities, groups, 0.95)
    alone = [
        LabelSets(rows={}, thresholds={NO_GROUPS: values}).select(probabilities[::3], {}, 0.95)
        for values in label_sets.thresholds.values()
    ]
    assert (selected[::3] == alone[0]).all()
    assert (selected[1::3] == alone[1]).all()
    assert (selected[2::3] == (alone[0] | alone[1])).all()
    assert alone[0].sum() > alone[1].sum()


def test_row_without_a_band_has_the_thresholds_of_that_band() -> None:
    poor = name_pattern([], ["u"])
    sharp, blurred = draw_rows(ROWS, seed=0, sharpness=4), draw_rows(ROWS, seed=1, sharpness=1)
    label_sets = calibrate_label_sets({NO_GROUPS: [sharp], poor: [blurred]})
    probabilities = draw_rows(300, seed=2).probabilities
    complete = label_sets.select(probabilities, {}, 0.95)
    missing = label_sets.select(probabilities, {}, 0.95, {"u": np.ones(300, dtype=bool)})
    assert missing.sum() > complete.sum()


def test_document_is_read_back(label_sets: LabelSets) -> None:
    assert LabelSets.model_validate_json(label_sets.model_dump_json()) == label_sets


def test_no_rows_have_no_label_sets(label_sets: LabelSets) -> None:
    assert label_sets.select(np.empty((0, 3)), {}, 0.9).shape == (0, 3)


def test_labels_are_joined_in_the_order_of_the_classes() -> None:
    assert format_labels(np.array([[True, True, True], [False, True, False]])) == [
        "GALAXY QSO STAR",
        "QSO",
    ]
