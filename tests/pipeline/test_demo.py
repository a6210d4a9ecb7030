"""The demo, run by its command as in a terminal."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.support.predictor import eventually

SMALL = "simulated:?rows=12300&era=legacy,boss,eboss&seed=3"


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the demo in a process group of its own, as a terminal does.

    It handles SIGINT even if these tests ignore it, as processes in a shell's background do.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "skyclass", "demo", "--source", SMALL, "--json", *arguments],
        env={**os.environ, "SKYCLASS_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def list_processes(home: Path) -> list[str]:
    """Return the command lines of running processes that use a home folder."""
    commands = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        command = " ".join(process.info["cmdline"] or [])
        has_home = (process.info["environ"] or {}).get("SKYCLASS_HOME", "").startswith(str(home))
        if process.pid != os.getpid() and (has_home or str(home) in command):
            commands.append(command)
    return commands


@pytest.mark.timeout(900)
def test_drift_is_detected_and_retraining_restores_accuracy(tmp_path: Path) -> None:
    demo = start(tmp_path)
    output, progress = demo.communicate(timeout=800)
    assert demo.returncode == 0, progress
    result = json.loads(output)
    before, during, after = result["scenes"]
    assert result["synthetic"]
    assert result["promoted"]
    assert [phase["verdict"] for phase in result["scenes"]] == ["no_drift", "drift", "no_drift"]
    assert during["accuracy"] < before["accuracy"] - 0.03
    assert after["accuracy"] > during["accuracy"] + 0.03
    assert before["release"] == during["release"] != after["release"]
    reports = [*result["training_reports"], *(phase["report"] for phase in result["scenes"])]
    assert all(Path(report).read_text().count("</html>") == 1 for report in reports)
    assert list_processes(tmp_path) == []


def interrupt(demo: subprocess.Popen[str]) -> None:
    """Press Ctrl-C: the terminal signals the whole process group."""
    os.killpg(demo.pid, signal.SIGINT)


@pytest.mark.parametrize(
    ("process", "stop"),
    [
        pytest.param("skyclass serve", interrupt, id="Ctrl-C, predictor"),
        pytest.param("executor_main", subprocess.Popen.terminate, id="SIGTERM, step of a training"),
    ],
)
def test_an_interrupted_demo_stops_its_processes(
    process: str, stop: Callable[[subprocess.Popen[str]], None], tmp_path: Path
) -> None:
    demo = start(tmp_path, "--candidates", "decision_tree")
    eventually(lambda: any(process in each for each in list_processes(tmp_path)), 120)
    assert any("weed" in each for each in list_processes(tmp_path))
    stop(demo)
    _, errors = demo.communicate(timeout=60)
    assert demo.returncode != 0
    assert "Traceback" not in errors
    eventually(lambda: list_processes(tmp_path) == [], 30)


def test_an_unusable_source_is_a_one_line_error(tmp_path: Path) -> None:
    source = tmp_path / "mine.csv"
    source.write_text("")
    demo = start(tmp_path / "home", "--source", str(source))
    _, errors = demo.communicate(timeout=60)
    assert demo.returncode == 1
    (line,) = [line for line in errors.splitlines() if line.startswith("error:")]
    assert "the file is empty" in line
    assert "Traceback" not in errors
    assert list_processes(tmp_path / "home") == []
