"""Runs on a KFP backend: submission, waiting, schedules, and their failures.

KFP's generated client talks to a local HTTP server with the models of KFP's API
(`tests/support/kfp_server.py`), because no KFP backend runs here.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyclass.cli import main
from skyclass.errors import TrainingError
from skyclass.orchestration import submit
from skyclass.orchestration.backend import Backend
from skyclass.orchestration.backend_errors import BackendError
from skyclass.orchestration.wait import wait_for_run
from skyclass.training.outcome import RunOutcome, find_outcome
from tests.support.kfp_server import LOGIN_PAGE, FakeKfp, Fault, running

EVERY_NIGHT = "0 0 3 * * *"


@pytest.fixture(autouse=True)
def no_kfp_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENDPOINT", "UI_ENDPOINT", "SA_TOKEN_PATH"):
        monkeypatch.delenv(f"KF_PIPELINES_{name}", raising=False)


@pytest.fixture
def kfp() -> Iterator[FakeKfp]:
    with running() as server:
        yield server


@pytest.fixture
def backend(kfp: FakeKfp) -> Backend:
    return Backend(kfp.address)


def test_run_is_started_with_typed_arguments_of_the_uploaded_version(
    kfp: FakeKfp, backend: Backend
) -> None:
    done = submit.submit_run(backend, {"seed": "7", "mode": "photometric"}, "runner")
    (run,), (version,), (pipeline,) = kfp.runs, kfp.versions, kfp.pipelines
    assert run.runtime_config == {"parameters": {"seed": 7, "mode": "photometric"}}
    assert run.service_account == "runner"
    assert run.pipeline_version_reference == {
        "pipeline_id": pipeline.pipeline_id,
        "pipeline_version_id": version.pipeline_version_id,
    }
    assert set(version.pipeline_spec) == {"pipeline_spec", "platform_spec"}
    assert version.name == done.version
    assert done.link == f"{kfp.address}/#/runs/details/run-0"


def test_existing_pipeline_version_and_experiment_are_reused(
    kfp: FakeKfp, backend: Backend
) -> None:
    older = {"display_name": "older", "pipeline_id": "pipeline-0", "pipeline_version_id": "old"}
    first = submit.submit_run(backend, {})
    kfp.versions.insert(0, type(kfp.versions[0])(**older))  # moves ours to the second page
    again = submit.submit_run(backend, {})
    assert (len(kfp.pipelines), len(kfp.versions), len(kfp.experiments)) == (1, 2, 1)
    assert [run.run_id for run in kfp.runs] == [first.run_id, again.run_id]


def test_links_use_the_address_of_the_user_interface(
    kfp: FakeKfp, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KF_PIPELINES_UI_ENDPOINT", "https://kfp.example/pipeline/")
    done = submit.submit_run(backend, {})
    assert done.link == "https://kfp.example/pipeline/#/runs/details/run-0"


def test_token_file_is_sent_as_bearer_token(
    kfp: FakeKfp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("t0ken\n")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(tmp_path / "token"))
    submit.submit_run(submit.connect(kfp.address), {})
    assert kfp.authorization == {"Bearer t0ken"}


def test_waiting_reports_each_state_once_and_ends_with_the_run(
    kfp: FakeKfp, backend: Backend
) -> None:
    kfp.states = ["", "PENDING", "RUNNING", "RUNNING", "SUCCEEDED"]
    states: list[str] = []
    run = submit.submit_run(backend, {})
    done = wait_for_run(backend, run, 10, states.append, interval_seconds=0)
    assert states == ["RUNNING", "SUCCEEDED"]
    assert done.state == "SUCCEEDED"


@pytest.mark.parametrize(
    ("state", "failed", "message", "expected"),
    [
        (
            "FAILED",
            ("root", "train", "executor"),
            "exit code 1",
            "run ended FAILED in step train (exit code 1): see its log at",
        ),
        ("FAILED", ("root-driver",), "", "run ended FAILED: see its log at"),
        ("CANCELED", (), "", "run ended CANCELED: see its log at"),
    ],
)
def test_failed_run_is_reported_with_its_step(
    kfp: FakeKfp,
    backend: Backend,
    state: str,
    failed: tuple[str, ...],
    message: str,
    expected: str,
) -> None:
    kfp.states, kfp.failed, kfp.message = ["RUNNING", state], failed, message
    run = submit.submit_run(backend, {})
    with pytest.raises(TrainingError, match="run ended") as ended:
        wait_for_run(backend, run, 10, interval_seconds=0)
    assert str(ended.value) == f"{expected} {run.link}"


JSON_ERROR = json.dumps({"code": 7, "message": "Unauthenticated:\n no user"}).encode()
LAUNCHER = "E1125 20:47:26.1 17 launcher_v2.go:449] Component failed\nError: exit status 1\n"
OUTCOME = RunOutcome(release_id="1" * 64, promoted=True, verdict="better")
PUBLISH_LOG = (
    f"INFO skyclass: outcome of the run: {OUTCOME.model_dump_json()}\nI1125 main.go: done\n"
)


@pytest.mark.parametrize("serves_api_logs", [True, False], ids=["API server", "user interface"])
def test_waiting_returns_the_outcome_of_the_run(
    kfp: FakeKfp, backend: Backend, serves_api_logs: bool
) -> None:
    kfp.logs = {"train": "INFO skyclass: fitted\n", "publish": PUBLISH_LOG}
    kfp.serves_api_logs = serves_api_logs
    run = submit.submit_run(backend, {})
    done = wait_for_run(backend, run, 10, interval_seconds=0)
    assert (done.release_id, done.promoted, done.verdict) == ("1" * 64, True, "better")
    assert done.waits_for_approval is False


def test_waiting_returns_that_the_release_waits_for_approval(
    kfp: FakeKfp, backend: Backend
) -> None:
    waits = OUTCOME.model_copy(update={"promoted": False, "waits_for_approval": True})
    kfp.logs = {"publish": PUBLISH_LOG.replace(OUTCOME.model_dump_json(), waits.model_dump_json())}
    done = wait_for_run(backend, submit.submit_run(backend, {}), 10, interval_seconds=0)
    assert (done.promoted, done.waits_for_approval) == (False, True)


def test_outcome_of_a_package_of_version_0_1_0_is_read() -> None:
    fields = OUTCOME.model_dump(mode="json", exclude={"waits_for_approval"})
    assert find_outcome(f"outcome of the run: {json.dumps(fields)}") == OUTCOME


def test_waiting_succeeds_if_the_log_is_not_available(kfp: FakeKfp, backend: Backend) -> None:
    kfp.logs = {"publish": PUBLISH_LOG}
    run = submit.submit_run(backend, {})
    for fault in (Fault(500, JSON_ERROR, "log"), Fault(200, LOGIN_PAGE, "log")):
        kfp.fault = fault
        done = wait_for_run(backend, run, 10, interval_seconds=0)
        assert (done.state, done.release_id, done.promoted) == ("SUCCEEDED", None, None)
        assert done.verdict.startswith("unknown: the log of step publish is not available")


@pytest.mark.parametrize("serves_api_logs", [True, False], ids=["API server", "user interface"])
def test_failed_run_is_reported_with_the_error_of_its_step(
    kfp: FakeKfp, backend: Backend, serves_api_logs: bool
) -> None:
    kfp.states, kfp.failed = ["FAILED"], ("root", "validate")
    kfp.logs = {"ingest": "", "validate": f"error: u is missing: ingest more\n{LAUNCHER}"}
    kfp.serves_api_logs = serves_api_logs
    run = submit.submit_run(backend, {})
    with pytest.raises(TrainingError, match="run ended") as ended:
        wait_for_run(backend, run, 10, interval_seconds=0)
    expected = "run ended FAILED in step validate: u is missing: ingest more: see its log at"
    assert str(ended.value) == f"{expected} {run.link}"


def test_waiting_times_out(kfp: FakeKfp, backend: Backend) -> None:
    kfp.states = ["RUNNING"]
    run = submit.submit_run(backend, {})
    with pytest.raises(TrainingError, match="run is RUNNING after 0 s: see http"):
        wait_for_run(backend, run, 0.1, interval_seconds=0.01)


def test_waiting_survives_a_restart_of_the_backend(kfp: FakeKfp, backend: Backend) -> None:
    run = submit.submit_run(backend, {})
    kfp.fault = Fault(503, b"upstream connect error", times=3)
    assert wait_for_run(backend, run, 10, interval_seconds=0).state == "SUCCEEDED"
    assert kfp.fault.times == 0


def test_waiting_ends_after_a_long_outage(kfp: FakeKfp, backend: Backend) -> None:
    run = submit.submit_run(backend, {})
    kfp.fault = Fault(0)
    backend = Backend(kfp.address, timeouts=(0.1, 0.1))
    with pytest.raises(BackendError, match=r"KFP at .* is unreachable \(Read"):
        wait_for_run(backend, run, 10, interval_seconds=0, outage_tolerance_seconds=0.5)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(401, JSON_ERROR), r"denied access \(401: Unauthenticated: no user\): set KF_P"),
        (
            Fault(403, b"RBAC: access denied"),
            r"denied access \(403\): set KF_PIPELINES_SA_TOKEN_PATH",
        ),
        (Fault(200, LOGIN_PAGE), "does not respond like KFP's API: .* a login is required"),
        (Fault(200, b"[]"), "does not respond like KFP's API"),
        (Fault(200, b"{}", path="runs"), "does not respond like KFP's API"),
        (Fault(404, b"<h1>Not found</h1>"), "does not respond like KFP's API"),
        (Fault(500, b'{"message": "database is away"}'), r"failed \(500: database is away\)"),
        (Fault(502, b"Bad Gateway"), r"failed \(502\): check its log and retry"),
        (
            Fault(400, b'{"message": "mode: not one of"}', "runs"),
            r"rejected the request \(400: mode: not",
        ),
        (Fault(0), r"KFP at .* is unreachable \(Read"),
    ],
)
def test_backend_failure_is_one_line_with_the_address(
    kfp: FakeKfp, fault: Fault, expected: str
) -> None:
    kfp.fault = fault
    response_seconds = 30.0 if fault.status else 0.1
    with pytest.raises(BackendError, match=expected) as failed:
        submit.submit_run(Backend(kfp.address, timeouts=(5.0, response_seconds)), {})
    assert "\n" not in str(failed.value)
    assert kfp.address in str(failed.value)
    assert kfp.runs == []


@pytest.mark.parametrize(
    ("host", "token", "expected"),
    [
        (None, None, "no KFP address: pass --host"),
        ("kfp.example", None, "KFP address is 'kfp.example': begin it with http"),
        ("http://kfp.example", "nowhere", r"token file nowhere is unreadable \(No such file"),
    ],
)
def test_invalid_address_or_token_file_is_reported(
    host: str | None, token: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if token:
        monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", token)
    with pytest.raises(BackendError, match=expected):
        submit.connect(host)


def test_schedule_runs_one_at_a_time_without_catching_up(kfp: FakeKfp, backend: Backend) -> None:
    done = submit.schedule_runs(
        backend, {"mode": "photometric"}, EVERY_NIGHT, service_account="runner"
    )
    (recurring,) = kfp.recurring
    assert recurring.trigger == {"cron_schedule": {"cron": EVERY_NIGHT}}
    assert (recurring.no_catchup, recurring.max_concurrency) == (True, "1")
    assert recurring.mode == "ENABLE"
    assert recurring.runtime_config == {"parameters": {"mode": "photometric"}}
    assert recurring.service_account == "runner"
    assert done.link == f"{kfp.address}/#/recurringrun/details/{done.recurring_run_id}"


def test_schedule_replaces_the_previous_one_only_after_it_was_created(
    kfp: FakeKfp, backend: Backend
) -> None:
    first = submit.schedule_runs(backend, {}, EVERY_NIGHT)
    kfp.fault = Fault(400, b'{"message": "no such day"}', path="recurringruns", times=1)
    with pytest.raises(BackendError, match="no such day"):
        submit.schedule_runs(backend, {}, "0 0 3 31 2 *")
    assert [each.recurring_run_id for each in kfp.recurring] == [first.recurring_run_id]
    kfp.fault = None
    second = submit.schedule_runs(backend, {"mode": "spectroscopic"}, "0 0 4 * * *")
    assert [each.recurring_run_id for each in kfp.recurring] == [second.recurring_run_id]


def test_each_mode_has_a_schedule_of_its_own(kfp: FakeKfp, backend: Backend) -> None:
    for mode in ("spectroscopic", "photometric", "photometric"):
        submit.schedule_runs(backend, {"mode": mode}, EVERY_NIGHT)
    names = [each.display_name for each in kfp.recurring]
    assert names == ["skyclass-training-spectroscopic", "skyclass-training-photometric"]


def test_schedule_of_an_earlier_version_is_replaced_by_that_of_its_mode(
    kfp: FakeKfp, backend: Backend
) -> None:
    submit.schedule_runs(backend, {"mode": "photometric"}, EVERY_NIGHT)
    kfp.recurring[0].display_name = "skyclass-training"
    submit.schedule_runs(backend, {}, EVERY_NIGHT)
    names = [each.display_name for each in kfp.recurring]
    assert names == ["skyclass-training", "skyclass-training-spectroscopic"]
    submit.schedule_runs(backend, {"mode": "photometric"}, EVERY_NIGHT)
    names = [each.display_name for each in kfp.recurring]
    assert names == ["skyclass-training-spectroscopic", "skyclass-training-photometric"]


def test_schedule_without_seconds_is_rejected_before_any_request(
    kfp: FakeKfp, backend: Backend
) -> None:
    with pytest.raises(BackendError, match="expected six fields, seconds first"):
        submit.schedule_runs(backend, {}, "0 3 * * *")
    assert kfp.authorization == set()


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ({"candidates": "foo"}, "unknown candidate 'foo': choose from decision_tree"),
        ({"newest_rows": "0"}, "newest_rows is 0: choose 1 or more"),
        ({"reason": "{{workflow.name}}"}, "reason is '{{workflow.name}}': remove '{{'"),
    ],
    ids=str,
)
def test_parameters_are_checked_before_any_request(
    kfp: FakeKfp, backend: Backend, parameter: dict[str, str], expected: str
) -> None:
    with pytest.raises(TrainingError, match=re.escape(expected)):
        submit.submit_run(backend, parameter)
    with pytest.raises(TrainingError, match=re.escape(expected)):
        submit.schedule_runs(backend, parameter, EVERY_NIGHT)
    assert kfp.authorization == set()


def skyclass(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["skyclass", "submit", "training", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_command_prints_the_run_as_json(
    kfp: FakeKfp, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kfp.logs = {"publish": PUBLISH_LOG}
    arguments = ("--host", kfp.address, "--param", "seed=1", "--wait", "--json")
    assert skyclass(monkeypatch, *arguments) == 0
    printed, errors = capsys.readouterr()
    result = json.loads(printed)
    assert result["state"] == "SUCCEEDED"
    assert {name: result[name] for name in RunOutcome.model_fields} == OUTCOME.model_dump()
    assert f"{kfp.address}/#/runs/details/run-0" in errors


def test_link_is_not_wrapped(
    kfp: FakeKfp, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KF_PIPELINES_UI_ENDPOINT", f"https://kfp.example/{'long' * 30}")
    assert skyclass(monkeypatch, "--host", kfp.address) == 0
    link = f"https://kfp.example/{'long' * 30}/#/runs/details/run-0"
    assert f"link     {link}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (("--wait",), 1, "error: run ended FAILED in step publish: see its log"),
        (("--param", "seed=x"), 1, "error: seed is 'x': expected an integer"),
        (("--param", "mode=both"), 1, "error: unknown mode 'both': choose spectroscopic or"),
        (("--cron", "daily"), 1, "error: schedule is 'daily': expected six fields"),
        (("--cron", EVERY_NIGHT, "--wait"), 2, "Invalid value for --wait"),
        (("--param", "seed"), 2, "write name=value"),
    ],
)
def test_command_fails_with_status_and_reason(
    kfp: FakeKfp,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    status: int,
    expected: str,
) -> None:
    kfp.states, kfp.failed = ["FAILED"], ("publish",)
    assert skyclass(monkeypatch, "--host", kfp.address, *arguments) == status
    printed, errors = capsys.readouterr()
    assert printed == ""
    assert expected in errors


def test_unreachable_backend_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert skyclass(monkeypatch, "--host", "http://127.0.0.1:9") == 1
    printed, errors = capsys.readouterr()
    assert printed == ""
    assert errors.startswith(
        "error: KFP at http://127.0.0.1:9 is unreachable (NewConnectionError): "
    )
    assert errors.count("\n") == 1
