"""Records of fault tests: one JSON file per test, collected in docs/reliability.jsonl."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pydantic import TypeAdapter

from tests.support.faults.history import History

ROOT = Path(__file__).resolve().parents[3]
HISTORY = ROOT / "docs/reliability.jsonl"
FOLDER_VARIABLE = "SKYCLASS_FAULT_RECORDS"
"""Environment variable with the folder that records are written to; unset, none are written."""


@dataclass(frozen=True)
class Record:
    """The outcome of a passed fault test.

    Attributes:
        fault: Its name in the catalogue.
        test: The test's node id.
        injected: How often the fault was injected.
        attempted: Number of operations.
        acknowledged: Number of those that were reported as done.
        counted_losses: Number of acknowledged operations that the system counted as lost.
        recovery_seconds: Longest time from the end of the fault until the system worked again.
    """

    fault: str
    test: str
    injected: int
    attempted: int
    acknowledged: int
    counted_losses: int
    recovery_seconds: float


_RECORD = TypeAdapter(Record)


def write_record(fault: str, test: str, history: History) -> None:
    """Write the record of a passed test, if the environment names a folder."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return
    assert history.recovery_seconds is not None
    record = Record(
        fault, test, len(history.evidence), len(history.attempted), len(history.acknowledged),
        len(history.counted_losses), round(history.recovery_seconds, 1),
    )  # fmt: skip
    name = f"{fault}-{sha256(test.encode()).hexdigest()[:12]}.json"
    (Path(folder) / name).write_bytes(_RECORD.dump_json(record))


def read_records(folder: Path) -> list[Record]:
    """Read the records of a run, ordered by fault and test."""
    records = (_RECORD.validate_json(path.read_bytes()) for path in folder.glob("*.json"))
    return sorted(records, key=lambda record: (record.fault, record.test))


def read_history() -> list[Record]:
    """Read the records of the last complete run."""
    return [_RECORD.validate_json(line) for line in HISTORY.read_text().splitlines()]


def write_history(records: Iterable[Record]) -> None:
    """Replace the records of the last complete run."""
    lines = (_RECORD.dump_json(record).decode() for record in records)
    HISTORY.write_text("".join(f"{line}\n" for line in lines))
