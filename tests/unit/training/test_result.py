"""The result page of a run, and its outcome in a log."""

import pytest

from skyclass.registry.releases import Release
from skyclass.survey.features import Mode
from skyclass.training.dataset import Dataset
from skyclass.training.evaluation import ModelEvaluation
from skyclass.training.outcome import RunOutcome, find_outcome
from skyclass.training.reports.result import render_result
from tests.support.releases import draft

OUTCOME = RunOutcome(release_id="0" * 64, promoted=False, verdict="not better")


@pytest.fixture
def release(dataset: Dataset, evaluation: ModelEvaluation) -> Release:
    metrics = {each.split: each for each in evaluation.evaluations}
    changes = {"metrics": metrics, "training_set": dataset.summary, "candidate": "random_forest"}
    return Release("a" * 64, draft(Mode.SPECTROSCOPIC, **changes))


def test_page_compares_the_release_with_the_champion(release: Release) -> None:
    random = release.manifest.metrics["random_holdout"]
    temporal = release.manifest.metrics["temporal_holdout"]
    champion = random.model_copy(update={"accuracy": random.accuracy - 0.01})
    page = render_result(release, promoted=True, verdict="better", champion=champion)
    accuracy = f"{random.accuracy:.4f} | {champion.accuracy:.4f} | +0.0100"
    assert page.startswith(
        "# Promoted: random forest, spectroscopic mode\n\n**Verdict:** better.\n"
    )
    assert f"| accuracy | {accuracy} |\n" in page
    assert f"| macro-F1 | {random.macro_f1:.4f} | {random.macro_f1:.4f} | +0.0000 |\n" in page
    assert f"Both on the same {random.rows:,} rows of the random hold-out." in page
    assert f"On the temporal hold-out: accuracy {temporal.accuracy:.4f}" in page
    assert f"- Release: `{release.id}`" in page


def test_page_of_a_first_release_has_no_champion(release: Release) -> None:
    accuracy = release.manifest.metrics["random_holdout"].accuracy
    page = render_result(release, promoted=False, verdict="promotion=never", champion=None)
    assert page.startswith("# Not promoted: ")
    assert f"| accuracy | {accuracy:.4f} | - | - |" in page
    assert "there was no champion." in page


def test_logged_outcome_is_found_among_other_lines(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="skyclass"):
        OUTCOME.log()
    log = f"I1125 launcher.go: start\n{caplog.text}I1125 launcher.go: end\n"
    assert find_outcome(log) == OUTCOME
    assert find_outcome("I1125 launcher.go: start\n") is None


@pytest.mark.parametrize("text", ['{"release": "0"}', "none"])
def test_outcome_of_another_version_is_ignored(text: str) -> None:
    assert find_outcome(f"outcome of the run: {text}\n") is None
