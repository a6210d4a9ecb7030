"""The training pipeline in KFP's local runner, against a real S3 server."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from skyclass.errors import TrainingError
from skyclass.local.s3_server import Access
from skyclass.orchestration.local_runner import LocalRun, run_training
from skyclass.promotion.local import LocalChampionStore
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.training.outcome import RunOutcome, find_outcome
from tests.support.environment import make_environment
from tests.support.web import Response, Web, serve

MODE = Mode.PHOTOMETRIC
STEPS = ["ingest", "validate", "train", "evaluate", "publish"]
SMALL = {
    "source_uri": "simulated:?rows=4000&era=legacy,boss",
    "candidates": "decision_tree",
    "search_seconds": "0",
    "mode": str(MODE),
    "reason": "a test",
}


@dataclass(frozen=True)
class FirstRun:
    """The first run of the training pipeline in a new store."""

    environment: dict[str, str]
    store: ObjectStore
    steps: list[str]
    result: LocalRun
    webhook: Web


@pytest.fixture(scope="module")
def first_run(s3: Access, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstRun]:
    folder = tmp_path_factory.mktemp("first-run")
    environment = make_environment(s3, folder / "home")
    with pytest.MonkeyPatch.context() as patch, serve(Response()) as webhook:
        channel = f"json://{webhook.url.removeprefix('http://')}"
        environment |= {"SKYCLASS_NOTIFICATION_URLS": channel}
        for variable, value in environment.items():
            patch.setenv(variable, value)
        store = ObjectStore(Settings())
        store.make_buckets()
        steps: list[str] = []
        result = run_training(SMALL, folder, steps.append)
        yield FirstRun(environment, store, steps, result, webhook)


def test_first_run_promotes_its_release(first_run: FirstRun) -> None:
    assert first_run.steps == STEPS
    assert first_run.result.promoted
    champions = LocalChampionStore(first_run.store)
    champion = champions.get_champion(MODE)
    assert champion is not None
    assert champion.id == first_run.result.release_id
    assert champion.manifest.parity.passed
    assert champion.manifest.metrics["random_holdout"].mode is MODE
    assert champions.list_promotions(MODE)[-1].reason.startswith("a test: ")


def test_run_reports_what_it_published(first_run: FirstRun) -> None:
    message = json.loads(first_run.webhook.bodies[0])
    assert message["title"].startswith("skyclass photometric: release ")
    assert first_run.result.verdict in message["message"]


def test_identical_run_only_publishes(first_run: FirstRun, tmp_path: Path) -> None:
    again = run_training({**SMALL, "source_uri": "table:"}, tmp_path, lambda step: None)
    assert not again.promoted
    assert again.verdict.startswith("not significantly better than the champion")
    champions = LocalChampionStore(first_run.store)
    assert [each.to_release for each in champions.list_promotions(MODE)] == [
        first_run.result.release_id
    ]
    manifests = [release.manifest for release in champions.registry.list_releases(MODE)]
    assert [manifest.parent for manifest in manifests] == [None, first_run.result.release_id]
    assert manifests[0].training_set == manifests[1].training_set


def test_metrics_confusion_matrix_and_reports_are_artifacts(first_run: FirstRun) -> None:
    def artifacts(step: str) -> dict[str, Any]:
        (executed,) = first_run.result.log.parent.glob(f"*/{step}/executor_output.json")
        found = json.loads(executed.read_text())["artifacts"]
        return {name: each["artifacts"][0] for name, each in found.items()}

    evaluated = artifacts("evaluate")
    assert "accuracy" in evaluated["metrics"]["metadata"]
    assert "confusionMatrix" in evaluated["confusion"]["metadata"]
    validated = artifacts("validate")
    for page in (evaluated["report"], validated["exploration"]):
        assert Path(page["uri"]).read_text().lstrip().lower().startswith("<!doctype html>")
    result = Path(artifacts("publish")["result"]["uri"]).read_text()
    assert result.startswith("# Promoted: decision tree, photometric mode")
    assert "## Checks of the gate" in result


def test_outcome_is_in_the_log_of_the_run(first_run: FirstRun) -> None:
    run = first_run.result
    assert find_outcome(run.log.read_text()) == RunOutcome(
        release_id=run.release_id, promoted=run.promoted, verdict=run.verdict
    )


@pytest.mark.parametrize(
    ("invalid", "message"),
    [
        ({"mode": "both"}, "unknown mode 'both': choose spectroscopic or photometric"),
        ({"candidates": "oracle"}, "unknown candidate 'oracle': choose from decision_tree"),
        ({"newest_rows": "0"}, "newest_rows is 0: choose 1 or more"),
        ({"reason": "{{$.pipeline_job_uuid}}"}, "reason is '{{$.pipeline_job_uuid}}': remove '{{'"),
        ({"search_seconds": "-1"}, "search_seconds is -1: choose 0 or more"),
        ({"seed": "-1"}, "seed is -1: choose 0 to 4294967295"),
        (
            {"promotion": "maybe"},
            "unknown promotion 'maybe': choose if_better or if_not_worse or approve or never",
        ),
        ({"seed": "x"}, "seed is 'x': expected an integer"),
        ({"speed": "1"}, "unknown parameter 'speed': choose from candidates, mode"),
    ],
)
def test_invalid_parameter_is_reported_in_one_line_and_promotes_nothing(
    store: ObjectStore, tmp_path: Path, invalid: dict[str, str], message: str
) -> None:
    parameters = {**SMALL, "candidates": "decision_tree", **invalid}
    with pytest.raises(TrainingError) as failed:
        run_training(parameters, tmp_path, lambda step: None)
    assert str(failed.value).startswith(message)
    assert "\n" not in str(failed.value)
    assert LocalChampionStore(store).get_champion(MODE) is None


def test_failed_step_ends_its_log_with_the_error_and_without_a_traceback(
    store: ObjectStore, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError) as failed:
        run_training({**SMALL, "source_uri": "no.csv"}, tmp_path, lambda step: None)
    assert str(failed.value) == "step ingest: no.csv: no such file: check the path"
    assert LocalChampionStore(store).get_champion(MODE) is None
    (log,) = tmp_path.glob("*/log.txt")
    assert "Traceback" not in log.read_text()
    assert f"error: {str(failed.value).removeprefix('step ingest: ')}\n" in log.read_text()


def test_unreachable_object_store_fails_the_first_step(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SKYCLASS_S3_RETRIES", "0")
    with pytest.raises(TrainingError, match=r"step ingest: .*127\.0\.0\.1:9 is unreachable"):
        run_training(SMALL, tmp_path, lambda step: None)
