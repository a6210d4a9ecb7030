"""Runs on a KFP backend: submitted, waited for, scheduled, and every way in which that fails.

A real KFP backend cannot run here. The closest real part is KFP's own generated client, which
talks to a local HTTP server that answers in the shapes of the API's definition (`kfp_server.py`).
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import submit
from pipelines.backend import Backend
from pipelines.backend_errors import BackendError
from pipelines.waiting import wait
from skyclass.cli import main
from skyclass.errors import TrainingError
from tests.support.kfp_server import LOGIN_PAGE, FakeKfp, Fault, running

EVERY_NIGHT = "0 0 3 * * *"


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENDPOINT", "UI_ENDPOINT", "SA_TOKEN_PATH"):
        monkeypatch.delenv(f"KF_PIPELINES_{name}", raising=False)


@pytest.fixture
def kfp() -> Iterator[FakeKfp]:
    with running() as server:
        yield server


@pytest.fixture
def backend(kfp: FakeKfp) -> Backend:
    return Backend(kfp.address)


def test_a_run_is_started_with_typed_arguments_of_the_uploaded_version(
    kfp: FakeKfp, backend: Backend
) -> None:
    done = submit.submit(backend, {"seed": "7", "mode": "photometric"}, "runner")
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


def test_what_is_there_already_is_not_made_again(kfp: FakeKfp, backend: Backend) -> None:
    older = {"display_name": "older", "pipeline_id": "pipeline-0", "pipeline_version_id": "old"}
    first = submit.submit(backend, {})
    kfp.versions.insert(0, type(kfp.versions[0])(**older))  # ours is on the second page now
    again = submit.submit(backend, {})
    assert (len(kfp.pipelines), len(kfp.versions), len(kfp.experiments)) == (1, 2, 1)
    assert [run.run_id for run in kfp.runs] == [first.run_id, again.run_id]


def test_links_lead_to_where_people_look(
    kfp: FakeKfp, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KF_PIPELINES_UI_ENDPOINT", "https://kfp.example/pipeline/")
    done = submit.submit(backend, {})
    assert done.link == "https://kfp.example/pipeline/#/runs/details/run-0"


def test_a_token_is_shown_where_its_file_is_named(
    kfp: FakeKfp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("t0ken\n")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(tmp_path / "token"))
    submit.submit(submit.connect(kfp.address), {})
    assert kfp.authorization == {"Bearer t0ken"}


def test_waiting_tells_each_state_once_and_ends_with_the_run(
    kfp: FakeKfp, backend: Backend
) -> None:
    kfp.states = ["", "PENDING", "RUNNING", "RUNNING", "SUCCEEDED"]
    told: list[str] = []
    run = submit.submit(backend, {})
    done = wait(backend, run, 10, told.append, pause=0)
    assert told == ["RUNNING", "SUCCEEDED"]
    assert done.state == "SUCCEEDED"


@pytest.mark.parametrize(
    ("state", "failed", "message", "complaint"),
    [
        (
            "FAILED",
            ("root", "train", "executor"),
            "exit code 1",
            "the run ended FAILED in step train (exit code 1): see its log at",
        ),
        ("FAILED", ("root-driver",), "", "the run ended FAILED: see its log at"),
        ("CANCELED", (), "", "the run ended CANCELED: see its log at"),
    ],
)
def test_a_run_that_ends_badly_names_the_step(
    kfp: FakeKfp,
    backend: Backend,
    state: str,
    failed: tuple[str, ...],
    message: str,
    complaint: str,
) -> None:
    kfp.states, kfp.failed, kfp.message = ["RUNNING", state], failed, message
    run = submit.submit(backend, {})
    with pytest.raises(TrainingError, match="run ended") as ended:
        wait(backend, run, 10, pause=0)
    assert str(ended.value) == f"{complaint} {run.link}"


def test_waiting_has_a_deadline(kfp: FakeKfp, backend: Backend) -> None:
    kfp.states = ["RUNNING"]
    run = submit.submit(backend, {})
    with pytest.raises(TrainingError, match="the run is RUNNING after 0 s: look at it at http"):
        wait(backend, run, 0.1, pause=0.01)


def test_a_backend_that_is_restarted_is_waited_for(kfp: FakeKfp, backend: Backend) -> None:
    run = submit.submit(backend, {})
    kfp.fault = Fault(503, b"upstream connect error", times=3)
    assert wait(backend, run, 10, pause=0).state == "SUCCEEDED"
    assert kfp.fault.times == 0


def test_a_backend_that_stays_silent_is_given_up(kfp: FakeKfp, backend: Backend) -> None:
    run = submit.submit(backend, {})
    kfp.fault = Fault(0)
    impatient = Backend(kfp.address, deadlines=(0.1, 0.1))
    with pytest.raises(BackendError, match=r"no KFP answers at .*Read"):
        wait(impatient, run, 10, pause=0, patience=0.5)


JSON_REFUSAL = json.dumps({"code": 7, "message": "Unauthenticated:\n no user"}).encode()


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        (Fault(401, JSON_REFUSAL), r"refuses \(401: Unauthenticated: no user\): let KF_PIPELINES"),
        (Fault(403, b"RBAC: access denied"), r"refuses \(403\): let KF_PIPELINES_SA_TOKEN_PATH"),
        (Fault(200, LOGIN_PAGE), "answers, but not as KFP's API does: .* wants a login"),
        (Fault(200, b"[]"), "answers, but not as KFP's API does"),
        (Fault(200, b"{}", path="runs"), "answers, but not as KFP's API does"),
        (Fault(404, b"<h1>Not found</h1>"), "answers, but not as KFP's API does"),
        (Fault(500, b'{"message": "database is away"}'), r"failed \(500: database is away\)"),
        (Fault(502, b"Bad Gateway"), r"failed \(502\): see its log, try again"),
        (Fault(400, b'{"message": "mode: not one of"}', "runs"), r"take this \(400: mode: not"),
        (Fault(0), "no KFP answers at .*Read"),
    ],
)
def test_a_backend_that_does_not_do_it_is_one_clear_line(
    kfp: FakeKfp, fault: Fault, complaint: str
) -> None:
    kfp.fault = fault
    answering = 30.0 if fault.status else 0.1
    with pytest.raises(BackendError, match=complaint) as failed:
        submit.submit(Backend(kfp.address, deadlines=(5.0, answering)), {})
    assert "\n" not in str(failed.value)
    assert kfp.address in str(failed.value)
    assert kfp.runs == []


@pytest.mark.parametrize(
    ("host", "token", "complaint"),
    [
        (None, None, "no KFP is named: say --host"),
        ("kfp.example", None, "'kfp.example' is no address: begin it with http"),
        ("http://kfp.example", "nowhere", r"no token at nowhere \(No such file"),
    ],
)
def test_where_to_go_must_be_said(
    host: str | None, token: str | None, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if token:
        monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", token)
    with pytest.raises(BackendError, match=complaint):
        submit.connect(host)


def test_a_schedule_runs_one_at_a_time_and_makes_up_for_nothing(
    kfp: FakeKfp, backend: Backend
) -> None:
    done = submit.schedule(backend, {"mode": "photometric"}, EVERY_NIGHT, service_account="runner")
    (recurring,) = kfp.recurring
    assert recurring.trigger == {"cron_schedule": {"cron": EVERY_NIGHT}}
    assert (recurring.no_catchup, recurring.max_concurrency) == (True, "1")
    assert recurring.mode == "ENABLE"
    assert recurring.runtime_config == {"parameters": {"mode": "photometric"}}
    assert recurring.service_account == "runner"
    assert done.link == f"{kfp.address}/#/recurringrun/details/{done.recurring_run_id}"


def test_a_schedule_replaces_the_one_before_only_once_it_stands(
    kfp: FakeKfp, backend: Backend
) -> None:
    first = submit.schedule(backend, {}, EVERY_NIGHT)
    other = submit.schedule(backend, {}, EVERY_NIGHT, name="another")
    kfp.fault = Fault(400, b'{"message": "no such day"}', path="recurringruns", times=1)
    with pytest.raises(BackendError, match="no such day"):
        submit.schedule(backend, {}, "0 0 3 31 2 *")
    assert [each.recurring_run_id for each in kfp.recurring] == [
        first.recurring_run_id,
        other.recurring_run_id,
    ]
    kfp.fault = None
    second = submit.schedule(backend, {}, "0 0 4 * * *")
    assert [each.recurring_run_id for each in kfp.recurring] == [
        other.recurring_run_id,
        second.recurring_run_id,
    ]


def test_a_schedule_without_seconds_is_refused_before_anything_is_asked(
    kfp: FakeKfp, backend: Backend
) -> None:
    with pytest.raises(BackendError, match="write six fields, the seconds first"):
        submit.schedule(backend, {}, "0 3 * * *")
    assert kfp.authorization == set()


def skyclass(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["skyclass", "submit", "training", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_command_prints_the_run_as_json(
    kfp: FakeKfp, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--host", kfp.address, "--param", "seed=1", "--wait", "--json")
    assert skyclass(monkeypatch, *arguments) == 0
    printed, told = capsys.readouterr()
    assert json.loads(printed)["state"] == "SUCCEEDED"
    assert f"{kfp.address}/#/runs/details/run-0" in told


def test_the_link_is_whole_on_any_terminal(
    kfp: FakeKfp, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KF_PIPELINES_UI_ENDPOINT", f"https://kfp.example/{'long' * 30}")
    assert skyclass(monkeypatch, "--host", kfp.address) == 0
    link = f"https://kfp.example/{'long' * 30}/#/runs/details/run-0"
    assert f"link     {link}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (("--wait",), 1, "error: the run ended FAILED in step publish: see its log"),
        (("--param", "seed=x"), 1, "error: seed is a whole number, not 'x'"),
        (("--param", "mode=both"), 1, "error: unknown mode 'both': choose spectroscopic or"),
        (("--cron", "daily"), 1, "error: 'daily' is no schedule: write six fields"),
        (("--cron", EVERY_NIGHT, "--wait"), 2, "Invalid value for --wait"),
        (("--param", "seed"), 2, "write name=value"),
    ],
)
def test_the_command_ends_with_the_status_that_says_why(
    kfp: FakeKfp,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    status: int,
    complaint: str,
) -> None:
    kfp.states, kfp.failed = ["FAILED"], ("publish",)
    assert skyclass(monkeypatch, "--host", kfp.address, *arguments) == status
    printed, told = capsys.readouterr()
    assert printed == ""
    assert complaint in told


def test_where_nobody_answers_the_command_says_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert skyclass(monkeypatch, "--host", "http://127.0.0.1:9") == 1
    printed, told = capsys.readouterr()
    assert printed == ""
    assert told.startswith("error: no KFP answers at http://127.0.0.1:9 (NewConnectionError): ")
    assert told.count("\n") == 1
