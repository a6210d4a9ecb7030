"""The component `publish`, called as KFP's executor calls it."""

import json
from pathlib import Path

import pytest
from kfp import dsl

from components.publish.component import publish
from skyclass.promotion.approvals import ApprovalLog, find_waiting
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.verdicts import Check, Outcome
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.training.dataset import Dataset
from skyclass.training.outcome import RunOutcome, find_outcome
from skyclass.training.parameters import PromotionPolicy
from skyclass.training.results import EvaluationResult, FitSummary
from skyclass.training.steps.evaluate import evaluate_step
from tests.support.kube_api import NAMESPACE, serve_template
from tests.support.web import Response, serve


@pytest.fixture
def inputs(
    settings: Settings, store: ObjectStore, dataset: Dataset, models_folder: Path, tmp_path: Path
) -> tuple[dsl.Dataset, dsl.Model, dsl.Artifact]:
    """Outputs of the previous steps."""
    dataset.save(tmp_path / "dataset")
    folders = (tmp_path / "dataset", models_folder)
    policy = PromotionPolicy.IF_BETTER
    evaluate_step(settings, *folders, Mode.SPECTROSCOPIC, policy, 0, tmp_path / "evaluation")
    return (
        dsl.Dataset(uri=str(folders[0])),
        dsl.Model(uri=str(folders[1])),
        dsl.Artifact(uri=str(tmp_path / "evaluation")),
    )


@pytest.mark.parametrize(
    ("gate_passes", "promotion", "promoted"),
    [
        (True, "if_better", True),
        (True, "approve", False),
        (True, "never", False),
        (False, "if_better", False),
        (False, "approve", False),
    ],
)
def test_release_is_published_and_promoted_if_gate_and_parameter_allow(
    store: ObjectStore,
    inputs: tuple[dsl.Dataset, dsl.Model, dsl.Artifact],
    tmp_path: Path,
    gate_passes: bool,
    promotion: str,
    promoted: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = Path(inputs[2].path)
    result = EvaluationResult.load(folder)
    gate = result.gate.model_copy(update={"passed": gate_passes, "reason": "a gate's reason"})
    (folder / "evaluated.json").write_bytes(result.model_copy(update={"gate": gate}).to_bytes())

    page = dsl.Markdown(uri=str(tmp_path / "result"))
    arguments = ("spectroscopic", promotion, "a test", "run-7", page)
    with caplog.at_level("INFO", logger="skyclass"):
        release_id, was_promoted, verdict, waits = publish.python_func(*inputs, *arguments)

    champions = LocalChampionStore(store)
    assert was_promoted is promoted
    assert waits is (gate_passes and promotion == "approve")
    assert verdict == ("a gate's reason" if promotion == "if_better" else verdict)
    release = champions.registry.find(release_id)
    assert release.manifest.run_id == "run-7"
    fitted = FitSummary.load(Path(inputs[1].path))
    assert release.manifest.settings == fitted.search.selected.settings
    assert release.manifest.calibration == fitted.calibration.method
    assert {file.path for file in release.manifest.files} == {
        *("model.joblib", "model.onnx"),
        *("confusion.png", "domain.json", "model_card.md", "reference.parquet", "report.html"),
    }
    champion = champions.get_champion(Mode.SPECTROSCOPIC)
    assert (champion is not None and champion.id == release_id) is promoted
    text = Path(page.path).read_text()
    title = "Waits for approval" if waits else "Promoted" if promoted else "Not promoted"
    assert text.startswith(f"# {title}: ")
    assert (f"skyclass promote {release_id[:12]} --approve" in text) is waits
    waiting = find_waiting(ApprovalLog(store).list_approvals(Mode.SPECTROSCOPIC, None))
    assert (waiting.release if waiting else None) == (release_id if waits else None)
    assert f"**Verdict:** {verdict}." in text
    assert release_id in text
    assert find_outcome(caplog.text) == RunOutcome(
        release_id=release_id, promoted=promoted, verdict=verdict, waits_for_approval=waits
    )


def test_release_beyond_a_limit_of_review_waits_under_every_promoting_policy(
    store: ObjectStore, inputs: tuple[dsl.Dataset, dsl.Model, dsl.Artifact], tmp_path: Path
) -> None:
    folder = Path(inputs[2].path)
    result = EvaluationResult.load(folder)
    check = Check(
        group="traffic",
        subject="QSO share",
        test="limit",
        rows=900,
        challenger=0.3,
        limit=0.25,
        outcome=Outcome.REVIEW,
    )
    gate = result.gate.model_copy(update={"checks": 4 * (check,)})
    (folder / "evaluated.json").write_bytes(result.model_copy(update={"gate": gate}).to_bytes())
    page = dsl.Markdown(uri=str(tmp_path / "result"))
    _, promoted, verdict, waits = publish.python_func(
        *inputs, "spectroscopic", "if_better", "a test", "run-7", page
    )
    assert (promoted, waits) == (False, True)
    one = "QSO share 0.3 (limit 0.25, 900 rows)"
    assert verdict == f"waits for approval: {one}; {one}; {one}; 1 more check"
    assert LocalChampionStore(store).get_champion(Mode.SPECTROSCOPIC) is None


def test_retried_step_sends_one_message(
    inputs: tuple[dsl.Dataset, dsl.Model, dsl.Artifact],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = dsl.Markdown(uri=str(tmp_path / "result"))
    with serve(Response()) as web:
        url = f"json://{web.url.removeprefix('http://')}/hook"
        monkeypatch.setenv("SKYCLASS_NOTIFICATION_URLS", url)
        for _ in range(2):
            publish.python_func(*inputs, "spectroscopic", "if_better", "a test", "run-7", page)
    (message,) = (json.loads(body) for body in web.bodies)
    assert message["title"] == "skyclass spectroscopic: release promoted"


def test_release_beyond_the_memory_limit_is_published_and_not_promoted(
    store: ObjectStore,
    inputs: tuple[dsl.Dataset, dsl.Model, dsl.Artifact],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page, mode = dsl.Markdown(uri=str(tmp_path / "result")), Mode.SPECTROSCOPIC
    with serve_template(mode, "64Mi", tmp_path, monkeypatch):
        monkeypatch.setenv("SKYCLASS_NAMESPACE", NAMESPACE)
        release_id, promoted, verdict, waits = publish.python_func(
            *inputs, mode, "if_better", "a test", "run-8", page
        )
    assert (promoted, waits) == (False, False)
    assert verdict.startswith(f"release {release_id[:12]}: needs ")
    assert "the predictor's limit is 64 MiB" in verdict
    manifest = LocalChampionStore(store).registry.find(release_id).manifest
    assert manifest.gate.passed
    assert manifest.memory is not None
    assert LocalChampionStore(store).list_promotions(mode) == []
