"""The whole story on one machine, told as a person tells it: by the command line."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.rows import frame

SMALL = "simulated:?rows=12300&era=legacy,boss,eboss&seed=3"

FEW = frame(*[{"plate": number} for number in range(1, 301)]).to_csv(index=False)


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the demo in a process group of its own, as a terminal does.

    It hears interrupts also where these tests do not, as in a shell's background.
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


def left_running(home: Path) -> list[str]:
    """What still runs of all that was started with this home folder."""
    return [" ".join(process.info["cmdline"] or []) for process in _processes_of(home)]


def _processes_of(home: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter(["cmdline", "environ"]):
        told = (process.info["environ"] or {}).get("SKYCLASS_HOME", "")
        named = any(str(home) in part for part in process.info["cmdline"] or [])
        if process.pid != os.getpid() and (told.startswith(str(home)) or named):
            yield process


def test_accuracy_falls_is_noticed_and_recovers(tmp_path: Path) -> None:
    demo = start(tmp_path)
    answer, progress = demo.communicate(timeout=300)
    assert demo.returncode == 0, progress
    story = json.loads(answer)
    before, during, after = story["scenes"]
    assert story["synthetic"]
    assert story["promoted"]
    assert [scene["verdict"] for scene in story["scenes"]] == ["no_drift", "drift", "no_drift"]
    assert during["accuracy"] < before["accuracy"] - 0.03
    assert after["accuracy"] > during["accuracy"] + 0.03
    assert before["release"] == during["release"] != after["release"]
    reports = [*story["training_reports"], *(scene["report"] for scene in story["scenes"])]
    assert all(Path(report).read_text().count("</html>") == 1 for report in reports)
    assert left_running(tmp_path) == []


def test_an_interrupted_demo_leaves_nothing_running(tmp_path: Path) -> None:
    demo = start(tmp_path)
    assert demo.stderr is not None
    for line in demo.stderr:
        if "the KServe predictor" in line and "Starting" in line:
            break
    assert any("weed" in each for each in left_running(tmp_path))
    os.killpg(demo.pid, signal.SIGINT)
    _, said = demo.communicate(timeout=60)
    assert demo.returncode != 0
    assert "Traceback" not in said
    assert left_running(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        pytest.param("", "the file is empty", id="empty file"),
        pytest.param("a,b\n1,2\n", "no known dialect", id="another table"),
        pytest.param(FEW, "0 early and 300 late objects", id="too few rows"),
    ],
)
def test_a_source_that_cannot_be_used_is_one_line(
    content: str, complaint: str, tmp_path: Path
) -> None:
    source = tmp_path / "mine.csv"
    source.write_text(content)
    demo = start(tmp_path / "home", "--source", str(source))
    _, said = demo.communicate(timeout=60)
    assert demo.returncode == 1
    (line,) = [line for line in said.splitlines() if line.startswith("error:")]
    assert complaint in line
    assert "Traceback" not in said
    assert left_running(tmp_path / "home") == []
