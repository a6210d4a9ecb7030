"""Which groups of optional inputs a release uses, and which candidates can be fitted with them."""

from dataclasses import replace

import numpy as np
import pytest

from skyclass.survey.features import FEATURES, GROUP_FEATURES, InputGroup, Mode
from skyclass.training.dataset import Dataset
from skyclass.training.input_plan import MIN_ROWS, plan_inputs
from skyclass.training.masking import OPTIONAL_BANDS
from tests.support.datasets import make_simulated_dataset

CANDIDATES = ("svc", "hist_gradient_boosting")


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """A photometric dataset of 4,000 simulated rows with WISE magnitudes and types."""
    return make_simulated_dataset(
        Mode.PHOTOMETRIC, 4_000, groups=(InputGroup.WISE, InputGroup.TYPE)
    )


def keep_wise(dataset: Dataset, kept: np.ndarray) -> Dataset:
    """Return the dataset with WISE magnitudes in the chosen rows only."""
    rows = dataset.rows.copy()
    rows.loc[~kept, ["w1", "w2"]] = np.nan
    return replace(dataset, rows=rows)


def test_groups_that_every_class_has_are_used(dataset: Dataset) -> None:
    plan = plan_inputs(dataset, CANDIDATES)
    assert plan.groups == (InputGroup.TYPE, InputGroup.WISE)
    assert plan.features == (
        *FEATURES[Mode.PHOTOMETRIC],
        *GROUP_FEATURES[InputGroup.TYPE],
        *GROUP_FEATURES[InputGroup.WISE],
    )
    assert plan.bands == OPTIONAL_BANDS[Mode.PHOTOMETRIC]


def test_group_that_only_one_class_has_is_not_used(dataset: Dataset) -> None:
    plan = plan_inputs(keep_wise(dataset, dataset.labels == "QSO"), CANDIDATES)
    assert plan.groups == (InputGroup.TYPE,)
    (coverage,) = [each for each in plan.coverage if each.group is InputGroup.WISE]
    assert coverage.shares["GALAXY"] == 0
    assert coverage.reason == "only 0 rows of class GALAXY have it, at least 100 must"


def test_group_whose_presence_depends_on_the_class_is_not_used(dataset: Dataset) -> None:
    random = np.random.default_rng(0).random(len(dataset.rows))
    shares = np.where(dataset.labels == "STAR", 0.5, 1.0)
    plan = plan_inputs(keep_wise(dataset, random < shares), CANDIDATES)
    assert InputGroup.WISE not in plan.groups
    assert "its presence depends on the class" in [each.reason[:33] for each in plan.coverage]


def test_group_with_one_value_is_not_used(dataset: Dataset) -> None:
    # Dereddened magnitudes have an extinction of 0.
    dereddened = replace(dataset, rows=dataset.rows.assign(extinction_r=0.0))
    coverage = plan_inputs(dereddened, CANDIDATES).coverage
    reasons = {each.group: each.reason for each in coverage}
    assert reasons[InputGroup.EXTINCTION] == "all rows have the same values"


def test_group_of_few_rows_is_not_used(dataset: Dataset) -> None:
    kept = np.zeros(len(dataset.rows), dtype=bool)
    for name in ("GALAXY", "QSO", "STAR"):
        kept[np.flatnonzero(dataset.labels == name)[:MIN_ROWS]] = True  # some are held out
    assert InputGroup.WISE not in plan_inputs(keep_wise(dataset, kept), CANDIDATES).groups


def test_candidates_that_take_no_missing_inputs_are_left_out(
    dataset: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert plan_inputs(dataset, CANDIDATES).candidates == ("hist_gradient_boosting",)
    assert "not compared, because they take no missing inputs: svc" in caplog.text


def test_without_other_candidates_the_model_needs_all_required_inputs(dataset: Dataset) -> None:
    plan = plan_inputs(dataset, ["svc", "mlp"])
    assert (plan.features, plan.bands) == (FEATURES[Mode.PHOTOMETRIC], ())
    assert plan.candidates == ("svc", "mlp")


def test_spectroscopic_models_have_no_optional_inputs(dataset: Dataset) -> None:
    plan = plan_inputs(replace(dataset, mode=Mode.SPECTROSCOPIC), CANDIDATES)
    assert (plan.groups, plan.bands, plan.candidates) == ((), (), CANDIDATES)
