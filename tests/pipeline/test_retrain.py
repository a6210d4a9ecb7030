"""Trainers of the monitoring loop: the local runner, and a KFP backend."""

import json
from pathlib import Path

import pytest

from skyclass.monitoring.decisions import Run, RunState
from skyclass.orchestration.backend import Backend
from skyclass.orchestration.retrain import KfpTrainer, LocalTrainer
from skyclass.promotion.local import LocalChampionStore
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.training.outcome import RunOutcome
from tests.support.kfp_server import running
from tests.support.web import Response, serve

SMALL = {"source_uri": "simulated:?rows=2400&era=legacy", "candidates": "decision_tree"}
SUBMITTED = Run(state=RunState.RUNNING, id="abc", link="http://kfp/abc")


def test_local_run_has_ended_when_start_returns(store: ObjectStore, tmp_path: Path) -> None:
    trainer = LocalTrainer(tmp_path)
    run = trainer.start(
        "now", {**SMALL, "mode": "spectroscopic", "reason": "2 of 3 windows drifted"}
    )
    champion = LocalChampionStore(store).get_champion(Mode.SPECTROSCOPIC)
    assert champion is not None
    assert (run.state, run.promoted, run.release) == (RunState.SUCCEEDED, True, champion.id)
    assert "reaches every floor" in run.message
    (event,) = LocalChampionStore(store).list_promotions(Mode.SPECTROSCOPIC)
    assert event.reason.startswith("2 of 3 windows drifted: ")


def test_failed_local_run_is_returned_with_its_reason(store: ObjectStore, tmp_path: Path) -> None:
    run = LocalTrainer(tmp_path).start("now", {**SMALL, "source_uri": "gone.csv"})
    assert run.state is RunState.FAILED
    assert run.id == "local-now"
    assert "gone.csv: no such file" in run.message


@pytest.mark.parametrize(
    ("status", "response", "state"),
    [
        (200, {"run_id": "abc", "state": "RUNNING"}, RunState.RUNNING),
        (200, {"run_id": "abc", "state": "SUCCEEDED"}, RunState.SUCCEEDED),
        (200, {"run_id": "abc", "state": "CANCELED"}, RunState.FAILED),
        (404, {"error": "run abc not found", "code": 5}, RunState.FAILED),
    ],
)
def test_state_of_a_kfp_run_is_requested(
    status: int, response: dict[str, object], state: RunState
) -> None:
    body = json.dumps(response).encode()
    with serve(Response(body, status, {"Content-Type": "application/json"})) as web:
        found = KfpTrainer(Backend(web.url)).refresh(SUBMITTED)
    assert web.requests == ["GET /apis/v2beta1/runs/abc"]
    assert found.state is state
    assert found.link == SUBMITTED.link


def test_result_of_a_kfp_run_is_read_from_its_log() -> None:
    outcome = RunOutcome(release_id="1" * 64, promoted=True, verdict="better")
    with running() as kfp:
        kfp.logs = {"publish": f"INFO: outcome of the run: {outcome.model_dump_json()}\n"}
        found = KfpTrainer(Backend(kfp.address)).refresh(SUBMITTED)
        assert (found.state, found.release, found.promoted) == (
            RunState.SUCCEEDED,
            outcome.release_id,
            True,
        )
        assert found.message == "better"
        kfp.states, kfp.failed = ["FAILED"], ("train",)
        kfp.logs = {"train": "error: too few rows: ingest more\n"}
        found = KfpTrainer(Backend(kfp.address)).refresh(SUBMITTED)
        assert found.state is RunState.FAILED
        assert found.message == "step train: too few rows: ingest more"


def test_submitted_run_is_found_by_its_name() -> None:
    with running() as kfp:
        trainer = KfpTrainer(Backend(kfp.address))
        assert trainer.find("first") is None
        runs = {name: trainer.start(name, {}) for name in ("first", "second")}
        assert {name: trainer.find(name) for name in runs} == runs
        assert [run.display_name for run in kfp.runs] == [
            "skyclass-training first",
            "skyclass-training second",
        ]


def test_run_is_unchanged_while_kfp_is_unreachable() -> None:
    with serve(Response()) as web:
        pass
    assert KfpTrainer(Backend(web.url)).refresh(SUBMITTED) == SUBMITTED
