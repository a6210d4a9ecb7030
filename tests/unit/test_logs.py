"""Logs of pipeline steps: how a failed step ends, and how its message is found again."""

import subprocess
import sys

import pytest

from skyclass.logs import find_error

STEP = "from skyclass import errors, logs; logs.start_step(); raise {error}"

KFP_LOG = """\
I1125 20:47:20.1 17 launcher_v2.go:206] starting
WARNING skyclass.polling: error: not a line of its own
error: mode is unknown: first attempt
error: unknown candidate 'foo': choose from mlp
E1125 20:47:26.1 17 launcher_v2.go:449] Component failed to execute
time=2026-11-25T20:47:26.723Z level=INFO msg="sub-process exited" error="exit status 1"
Error: exit status 1
"""


def run_step(error: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", STEP.format(error=error)], capture_output=True, text=True
    )


def test_step_ends_an_expected_error_with_one_line() -> None:
    done = run_step("errors.CatalogError('no.csv: no such file')")
    assert (done.returncode, done.stderr) == (1, "error: no.csv: no such file\n")


def test_step_names_a_full_disk_in_one_line() -> None:
    done = run_step("OSError(28, 'No space left on device', 'model.joblib')")
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot write model.joblib (No space left on device): ")
    assert done.stderr.count("\n") == 1


def test_step_prints_the_traceback_of_an_unexpected_error() -> None:
    done = run_step("ValueError('a bug')")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("ValueError: a bug\n")


def test_step_ends_when_nobody_reads_its_output() -> None:
    program = "from skyclass import logs; logs.start_step(); print('started', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as step:
        assert step.stdout is not None
        assert step.stdout.readline() == b"started\n"
        step.stdout.close()
        assert step.wait(30) == 1


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (KFP_LOG, "unknown candidate 'foo': choose from mlp"),
        ("", None),
        ("Error: exit status 1\n", None),
    ],
    ids=["last of several", "empty", "only lines of KFP"],
)
def test_last_error_of_a_log_is_found(log: str, message: str | None) -> None:
    assert find_error(log) == message
