"""The record of a soak: docs/soak.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter

from benchmarks.history import ROOT, Machine
from tests.soak.evaluation import Comparison
from tests.soak.schedule import Schedule

RECORD = ROOT / "docs/soak.json"


@dataclass(frozen=True)
class Minute:
    """What was measured in one minute.

    Attributes:
        number: Minutes since the start of the measurement.
        requests: Requests to the predictor that is never restarted.
        p50: Median of their latencies (ms).
        p99: 99th percentile of their latencies (ms).
        memory: Median of the resident memory (MB) of each process.
        files: Median number of the open files and sockets of each process.
        busy_cores: Mean number of cores that all processes of the machine used.
        stolen_cores: Mean number of cores that the hypervisor withheld.
        load_average: Load average.
    """

    number: int
    requests: int
    p50: float
    p99: float
    memory: Mapping[str, float]
    files: Mapping[str, float]
    busy_cores: float
    stolen_cores: float
    load_average: float


@dataclass(frozen=True)
class Operations:
    """Operations of one kind.

    Attributes:
        kind: What was attempted, such as `prediction`.
        attempted: Number of operations.
        acknowledged: Number of those that were reported as done.
        counted_losses: Acknowledged predictions that a killed predictor had not written yet.
    """

    kind: str
    attempted: int
    acknowledged: int
    counted_losses: int


@dataclass(frozen=True)
class InjectedFaults:
    """Faults of one kind.

    Attributes:
        title: What was injected.
        times: How often.
        recovery_seconds: Longest time from its end until the system worked again.
        evidence: What was seen of the first one.
    """

    title: str
    times: int
    recovery_seconds: float
    evidence: str


@dataclass(frozen=True)
class Record:
    """A soak.

    Attributes:
        date: When it ended.
        revision: Git revision, with `+` if the code had uncommitted changes.
        machine: Where it ran.
        schedule: What it did.
        other_cores: Mean number of cores that other work on the machine used.
        comparisons: Figures in the first and the last tenth.
        operations: Operations of each kind.
        faults: Injected faults of each kind.
        jobs: Successful runs of each job.
        minutes: Figures of each minute.
        misses: Reasons why the soak has failed; empty if it has passed.
    """

    date: datetime
    revision: str
    machine: Machine
    schedule: Schedule
    other_cores: float
    comparisons: tuple[Comparison, ...]
    operations: tuple[Operations, ...]
    faults: tuple[InjectedFaults, ...]
    jobs: Mapping[str, int]
    minutes: tuple[Minute, ...]
    misses: tuple[str, ...]


_RECORD = TypeAdapter(Record)


def read_record(path: Path = RECORD) -> Record | None:
    """Read a record; None if there is none."""
    return _RECORD.validate_json(path.read_bytes()) if path.exists() else None


def write_record(record: Record, path: Path = RECORD) -> None:
    """Write a record, in place of the previous one."""
    path.write_bytes(_RECORD.dump_json(record, indent=1) + b"\n")
