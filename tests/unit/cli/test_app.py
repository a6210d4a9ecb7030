"""Options, exit statuses and one-line errors that all commands share."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from skyclass.cli.options import normalize_prefix
from skyclass.local.ports import find_free_ports
from skyclass.storage.s3 import ObjectStore
from tests.support.command_line import CommandLine


@pytest.mark.parametrize(
    "arguments",
    [
        ["drift", "--mode", "both"],
        ["drift", "--start", "yesterday"],
        ["run", "training", "--param", "mode"],
        ["releases", "show"],
        ["monitor", "--port", "65536"],
        ["monitor", "--probe-port", "0"],
        ["serve", "--grpc-port", "-1"],
        ["paint"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_status_2(arguments: list[str], command_line: CommandLine) -> None:
    result = command_line.run(*arguments)
    assert (result.status, result.out) == (2, "")
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("given", "prefix"), [("", ""), ("/", ""), ("/sky", "/sky"), ("/sky/", "/sky"), ("sky", "/sky")]
)
def test_a_path_prefix_may_have_any_slashes(given: str, prefix: str) -> None:
    assert normalize_prefix(given) == prefix


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ("colour=red", "unknown parameter 'colour': choose from"),
        ("newest_rows=many", "newest_rows is 'many': expected an integer"),
    ],
)
def test_an_invalid_parameter_starts_no_run(
    parameter: str, message: str, command_line: CommandLine, tmp_path: Path
) -> None:
    assert message in command_line.run_failing("run", "training", "--param", parameter)
    assert not (tmp_path / "home" / "runs").exists()


def test_an_unreachable_store_is_a_one_line_error(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = find_free_ports(1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    assert f"127.0.0.1:{port}" in command_line.run_failing("releases")


def test_wrong_keys_are_a_one_line_error_without_the_key(
    command_line: CommandLine, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    message = command_line.run_failing("releases")
    assert "AWS_SECRET_ACCESS_KEY" in message
    assert "not-the-secret" not in message


def test_a_missing_setting_is_named(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    assert "AWS_ENDPOINT_URL" in command_line.run_failing("releases")


def test_version_and_completion_are_options(command_line: CommandLine) -> None:
    version = command_line.run("--version")
    assert (version.status, version.out) == (
        0,
        f"skyclass {importlib.metadata.version('skyclass')}\n",
    )
    shown = command_line.run("--help").out
    assert "--install-completion" in shown
    assert "--show-completion" in shown


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "skyclass", "paint"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such command 'paint'" in done.stderr
