"""History of the measured figures: docs/performance.jsonl, one line per run of a benchmark."""

import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import joblib
from pydantic import TypeAdapter

from benchmarks.figures import Figure
from benchmarks.usage import Usage

ROOT = Path(__file__).resolve().parents[1]
HISTORY = ROOT / "docs/performance.jsonl"
_LIBRARIES = (
    "numpy", "pandas", "pyarrow", "deltalake", "scikit-learn", "onnxruntime", "kserve", "astropy",
)  # fmt: skip
_MEASURED = ("src", "benchmarks", "uv.lock")


@dataclass(frozen=True)
class Machine:
    """Where a benchmark ran.

    Attributes:
        cores: Number of cores that the processes could use.
        cpu: Model of the processor; empty if it was not recorded.
        versions: Versions of Python and of the main libraries, by name.
    """

    cores: int
    cpu: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A run of one benchmark.

    Attributes:
        benchmark: Name of its module.
        date: When it ended.
        revision: Git revision at its start, with `+` if the code had uncommitted changes.
        machine: Where it ran.
        figures: What it measured.
        seconds: How long it took; None if it was not recorded.
        other_cores: Cores that other work on the machine used meanwhile; None if it was not
            recorded.
    """

    benchmark: str
    date: datetime
    revision: str
    machine: Machine
    figures: tuple[Figure, ...]
    seconds: float | None = None
    other_cores: float | None = None


_RUN = TypeAdapter(Run)


def describe_machine() -> Machine:
    """Return this machine."""
    versions = {name: metadata.version(name) for name in _LIBRARIES}
    return Machine(
        joblib.cpu_count(), _find_cpu_model(), {"Python": platform.python_version(), **versions}
    )


def find_revision() -> str:
    """Return the revision of the checked-out code."""
    changes = _git("status", "--porcelain", "--", *_MEASURED)
    return _git("rev-parse", "--short=7", "HEAD") + "+" * bool(changes)


def make_run(benchmark: str, revision: str, figures: Iterable[Figure], usage: Usage) -> Run:
    """Return a run that ends now, on this machine."""
    return Run(
        benchmark=benchmark,
        date=datetime.now(UTC).replace(microsecond=0),
        revision=revision,
        machine=describe_machine(),
        figures=tuple(figures),
        seconds=round(usage.seconds, 1),
        other_cores=round(usage.other_cores, 1),
    )


def read_history(path: Path = HISTORY) -> list[Run]:
    """Return all runs, oldest first; none if the file does not exist."""
    lines = path.read_text().splitlines() if path.exists() else []
    return sorted((_RUN.validate_json(line) for line in lines), key=lambda run: run.date)


def append_run(run: Run, path: Path = HISTORY) -> None:
    """Append a run to the history."""
    with path.open("ab") as file:
        file.write(_RUN.dump_json(run) + b"\n")


def find_latest(runs: Iterable[Run], benchmarks: Sequence[str]) -> list[Run]:
    """Return the last run of each benchmark, in the order of the benchmarks."""
    latest = {run.benchmark: run for run in sorted(runs, key=lambda run: run.date)}
    return [latest[name] for name in benchmarks if name in latest]


def _find_cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _git(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603
        ["git", *arguments],  # noqa: S607
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()
