"""Steps of the pipelines that are killed or repeated neither lose nor double a row or a release."""

import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl
from kfp.local import subprocess_task_handler

from components.evaluate.component import evaluate
from components.ingest.component import ingest
from components.plan.component import plan
from components.publish.component import publish
from components.score.component import score
from components.train.component import train
from components.validate.component import validate
from skyclass.orchestration.local_runner import run_package, run_training
from skyclass.orchestration.package import SCORING, load_package
from skyclass.promotion.approvals import ApprovalLog
from skyclass.promotion.local import LocalChampionStore
from skyclass.sources.simulated import draw
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import KEY, Era
from skyclass.tables.observations import ObservationsTable
from tests.support.faults.history import History
from tests.support.killed_step import POINT
from tests.support.rows import name_rows
from tests.support.scoring import publish_tree, read_predictions

MODE = Mode.SPECTROSCOPIC
ROWS = 1_800
SOURCE = f"simulated:?rows={ROWS}&era=legacy&seed=0"
SETTINGS = {"mode": str(MODE), "candidates": "decision_tree", "search_seconds": "0"}
TRAINING_KILLS = {
    "ingest": ["skyclass.tables.observations:ObservationsTable.merge@1"],
    "validate": ["skyclass.training.dataset:Dataset.save@0"],
    "train": ["skyclass.training.results:FitSummary.save@0"],
    "evaluate": ["skyclass.training.results:EvaluationResult.save@0"],
    "publish": [
        "skyclass.storage.s3:ObjectStore.put@8",
        "skyclass.promotion.local:LocalChampionStore.promote@0",
        "skyclass.promotion.local:LocalChampionStore.promote@1",
    ],
}
"""Where each step is killed, once for each: after the commit of the rows, before the outputs,
within the upload of the release, and before and after its promotion."""
SCORING_KILLS = {
    "plan": ["skyclass.scoring.steps.find_release@1"],
    "score": ["skyclass.tables.predictions:PredictionsTable.merge@1"],
}
EXECUTOR = "-m kfp.dsl.executor_main"
EXIT_CODES = (-signal.SIGKILL, 128 + signal.SIGKILL)
"""Of the step itself, and of the shell that has started it."""


def kill_steps(
    kills: Mapping[str, list[str]], history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let KFP's local runner kill steps, and repeat them as KFP repeats a step of a lost pod."""
    run_step = subprocess_task_handler.run_local_subprocess

    def run(full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
        step = full_command[full_command.index("--function_to_execute") + 1]
        for point in kills[step]:
            command = [
                part.replace(EXECUTOR, "-m tests.support.killed_step") for part in full_command
            ]
            assert command != full_command
            exit_code = run_step(command, {**(env_vars or {}), POINT: point})
            assert exit_code in EXIT_CODES, f"{step} ended with {exit_code} at {point}"
            history.fire(f"step {step} ended with SIGKILL at {point}")
        with history.recovery():
            return run_step(full_command, env_vars)

    monkeypatch.setattr(subprocess_task_handler, "run_local_subprocess", run)


@pytest.fixture(scope="module")
def objects() -> list[str]:
    """The objects of the source."""
    return name_rows(draw(Era.LEGACY, 0, ROWS, seed=0).to_pandas())


@pytest.mark.timeout(900)  # it starts twelve steps
@pytest.mark.fault("pipeline-killed")
def test_training_whose_steps_are_killed_promotes_one_release(
    store: ObjectStore,
    table: ObservationsTable,
    objects: list[str],
    tmp_path: Path,
    history: History,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kill_steps(TRAINING_KILLS, history, monkeypatch)
    run = run_training(
        {**SETTINGS, "source_uri": SOURCE, "reason": "a test"}, tmp_path, lambda step: None
    )
    assert len(history.evidence) == sum(map(len, TRAINING_KILLS.values()))
    assert run.promoted
    champions = LocalChampionStore(store)
    history.acknowledge(run.release_id)
    history.find(release.id for release in champions.registry.list_releases(MODE))
    assert [event.to_release for event in champions.list_promotions(MODE)] == [run.release_id]
    history.acknowledge(*objects)
    history.find(name_rows(table.read(table.version(), list(KEY))))


@pytest.mark.fault("pipeline-killed")
def test_scoring_whose_steps_are_killed_scores_each_object_once(
    store: ObjectStore,
    objects: list[str],
    tmp_path: Path,
    history: History,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = publish_tree(store, tmp_path / "release", MODE)
    LocalChampionStore(store).promote(release, "a test", "test")
    run_ingest(tmp_path)
    kill_steps(SCORING_KILLS, history, monkeypatch)
    run_package(load_package(SCORING), {"mode": str(MODE)}, tmp_path / "run")
    assert len(history.evidence) == sum(map(len, SCORING_KILLS.values()))
    history.acknowledge(*objects)
    history.find(name_rows(read_predictions(store.settings, release)))


def run_ingest(folder: Path) -> tuple[Any, ...]:
    """Run the component `ingest`, and return its outputs."""
    accounting = dsl.Metrics(uri=str(folder / "accounting"))
    arguments = ("decision_tree", str(MODE), ROWS, "approve", "a test", 0, 0)
    return tuple(ingest.python_func(SOURCE, *arguments, accounting))


def repeat(function: Callable[[], Any], history: History) -> Any:
    """Call a step twice with the same arguments, and return what the second call returned."""
    first = function()
    with history.recovery():
        again = function()
    history.fire("a step was repeated after its success")
    assert again == first
    return again


@pytest.mark.fault("step-retried")
@pytest.mark.parametrize("promotion", ["if_better", "approve"])
def test_repeated_steps_of_a_training_publish_one_release(
    promotion: str,
    store: ObjectStore,
    table: ObservationsTable,
    objects: list[str],
    tmp_path: Path,
    history: History,
) -> None:
    def make(kind: type[dsl.Artifact], name: str) -> Any:
        return kind(uri=str(tmp_path / name))

    table_id, version, limits_id = repeat(lambda: run_ingest(tmp_path), history)
    dataset, model = make(dsl.Dataset, "dataset"), make(dsl.Model, "model")
    evaluation, mode = make(dsl.Artifact, "evaluation"), str(MODE)
    repeat(
        lambda: validate.python_func(
            table_id, version, mode, ROWS, limits_id, dataset, make(dsl.HTML, "exploration")
        ),
        history,
    )
    search = make(dsl.Metrics, "search")
    repeat(lambda: train.python_func(dataset, mode, "decision_tree", 0, 0, model, search), history)
    repeat(
        lambda: evaluate.python_func(
            *(dataset, model, mode, promotion, 0, evaluation),
            *(make(dsl.Metrics, "metrics"), dsl.ClassificationMetrics(), make(dsl.HTML, "report")),
        ),
        history,
    )
    release_id, promoted, _, waits = repeat(
        lambda: publish.python_func(
            *(dataset, model, evaluation, mode, promotion, "a test", "run-7"),
            make(dsl.Markdown, "result"),
        ),
        history,
    )
    champions = LocalChampionStore(store)
    history.acknowledge(release_id)
    history.find(release.id for release in champions.registry.list_releases(MODE))
    assert (promoted, waits) == (promotion == "if_better", promotion == "approve")
    assert len(champions.list_promotions(MODE)) == promoted
    assert len(ApprovalLog(store).list_approvals(MODE, None)) == waits
    history.acknowledge(*objects)
    history.find(name_rows(table.read(table.version(), list(KEY))))


@pytest.mark.fault("step-retried")
def test_repeated_steps_of_a_scoring_score_each_object_once(
    store: ObjectStore, objects: list[str], tmp_path: Path, history: History
) -> None:
    release = publish_tree(store, tmp_path / "release", MODE)
    run_ingest(tmp_path)
    (part,) = repeat(lambda: plan.python_func("table:", str(MODE), release.id, 1), history)
    accounting = dsl.Metrics(uri=str(tmp_path / "accounting"))
    inserted = [score.python_func(part, str(MODE), accounting)[0] for _ in range(2)]
    assert inserted == [ROWS, 0]
    history.acknowledge(*objects)
    history.find(name_rows(read_predictions(store.settings, release)))
