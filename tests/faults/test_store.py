"""Jobs while the object store fails: one line of error, no loss, and the next run succeeds."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from skyclass.local.s3_server import Access
from skyclass.storage.s3 import ObjectStore
from tests.support.command_line import CommandLine
from tests.support.fault_proxy import Effect, Fault, FaultProxy, run_fault_proxy
from tests.support.faults.history import History
from tests.support.faults.jobs import Job, Prepare, every_job, run_again


@pytest.fixture
def command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    return CommandLine(monkeypatch, capsys)


@pytest.fixture
def proxy(s3: Access) -> Iterator[FaultProxy]:
    """A proxy that is up."""
    with run_fault_proxy(s3.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def job(
    prepare: Prepare,
    store: ObjectStore,
    command_line: CommandLine,
    proxy: FaultProxy,
    history: History,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Job:
    """A prepared job, whose connections go through the proxy."""
    job = prepare(store, command_line, tmp_path)
    history.acknowledge(*job.before)
    history.attempt(*job.keys)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.get_url())
    monkeypatch.setenv("SKYCLASS_S3_RETRIES", "1")
    return job


def run_after_fault(job: Job, proxy: FaultProxy, history: History) -> None:
    """Run the job again, which must succeed, and record what the proxy has injected."""
    run_again(job, history)
    for evidence in proxy.list_evidence():
        history.fire(evidence)


@every_job
@pytest.mark.fault("store-down-at-start")
def test_store_that_is_down_at_the_start(job: Job, proxy: FaultProxy, history: History) -> None:
    proxy.stop()
    error = job.run()
    assert f"the object store at {proxy.get_url()} is unreachable" in error
    assert error.endswith("or correct AWS_ENDPOINT_URL")
    history.fire(error)
    proxy.start()
    run_after_fault(job, proxy, history)


@every_job
@pytest.mark.fault("store-down-during-upload")
def test_store_that_goes_down_during_an_upload(
    job: Job, proxy: FaultProxy, history: History
) -> None:
    proxy.inject(Fault(Effect.DOWN_DURING, "PUT", job.upload))
    assert f"the object store at {proxy.get_url()} is unreachable" in job.run()
    proxy.start()
    run_after_fault(job, proxy, history)


@every_job
@pytest.mark.fault("store-down-before-commit")
def test_store_that_goes_down_between_an_upload_and_its_commit(
    job: Job, proxy: FaultProxy, history: History
) -> None:
    proxy.inject(Fault(Effect.DOWN_BEFORE, "PUT", job.commit))
    assert f"the object store at {proxy.get_url()} is unreachable" in job.run()
    proxy.start()
    run_after_fault(job, proxy, history)


@every_job
@pytest.mark.fault("store-unavailable-bursts")
def test_short_bursts_of_503_are_invisible(job: Job, proxy: FaultProxy, history: History) -> None:
    proxy.inject(Fault(Effect.UNAVAILABLE, times=1, per_object=True))
    run_after_fault(job, proxy, history)


@every_job
@pytest.mark.fault("store-unavailable-bursts")
def test_burst_of_503_that_outlasts_the_retries(
    job: Job, proxy: FaultProxy, history: History
) -> None:
    proxy.inject(Fault(Effect.UNAVAILABLE, "PUT", job.commit, times=2))
    assert "the object store failed (SlowDown): try again, or see its log" in job.run()
    run_after_fault(job, proxy, history)


@every_job
@pytest.mark.fault("store-slow")
def test_store_that_answers_after_five_seconds(
    job: Job, proxy: FaultProxy, history: History
) -> None:
    proxy.inject(Fault(Effect.DELAYED, "PUT", job.commit))
    run_after_fault(job, proxy, history)


@every_job
@pytest.mark.fault("store-truncates")
def test_truncated_responses(job: Job, proxy: FaultProxy, history: History) -> None:
    proxy.inject(Fault(Effect.TRUNCATED, "GET", job.reads, times=2))
    error = job.run()
    assert not error or "is unreachable" in error, error
    proxy.inject(None)
    run_after_fault(job, proxy, history)


@every_job
@pytest.mark.fault("lost-acknowledgement")
def test_lost_acknowledgement_of_a_commit(job: Job, proxy: FaultProxy, history: History) -> None:
    proxy.inject(Fault(Effect.LOST, "PUT", job.commit))
    run_after_fault(job, proxy, history)


@every_job
@pytest.mark.fault("wrong-credentials")
def test_wrong_credentials(
    job: Job, proxy: FaultProxy, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
        error = job.run()
    assert "access denied" in error
    assert "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in error
    assert "not-the-secret" not in error
    history.fire(error)
    run_after_fault(job, proxy, history)


@every_job
@pytest.mark.fault("bucket-missing")
def test_missing_buckets(
    job: Job, proxy: FaultProxy, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        prefix = f"absent-{uuid4().hex[:12]}"
        for name in ("DATA", "MODELS", "LOGS", "REPORTS"):
            patch.setenv(f"SKYCLASS_{name}_BUCKET", f"{prefix}-{name.lower()}")
        error = job.run()
    assert f"s3://{prefix}-" in error
    assert "create it, or correct the SKYCLASS_*_BUCKET settings" in error
    history.fire(error)
    run_after_fault(job, proxy, history)
