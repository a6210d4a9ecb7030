"""Jobs that a fault of the object store interrupts, and what they acknowledge."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from skyclass.errors import SkyclassError
from skyclass.monitoring.documents import load_documents
from skyclass.monitoring.verdict import DriftVerdict
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import Registry
from skyclass.settings import load_settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import KEY, Era
from skyclass.tables.log.read import read_log
from skyclass.tables.observations import ObservationsTable
from tests.support.command_line import CommandLine
from tests.support.faults.history import History
from tests.support.monitoring import (
    END,
    START,
    draw_observations,
    ingest_rows,
    make_log_rows,
    publish_reference,
    write_log_rows,
)
from tests.support.releases import draft, write_files
from tests.support.scoring import publish_tree, read_predictions

MODE = Mode.SPECTROSCOPIC
ROWS = 200
OLD_ROWS = 50
"""Rows that a job has acknowledged before the fault."""


@dataclass(frozen=True)
class Job:
    """A job, prepared up to its next run.

    Attributes:
        run: Runs it as its schedule does, and returns the line of its error, empty for none.
        before: Keys that were acknowledged before the run.
        keys: Keys that the run acknowledges when it succeeds.
        find: Reads the keys that are there.
        reads: Pattern of the path of objects that it reads.
        upload: Pattern of the path of its first upload.
        commit: Pattern of the path of the object whose write makes its results visible.
    """

    run: Callable[[], str]
    before: frozenset[str]
    keys: frozenset[str]
    find: Callable[[], Iterable[str]]
    reads: str
    upload: str
    commit: str


Prepare = Callable[[ObjectStore, CommandLine, Path], Job]
"""Prepares a job, with a direct connection to the object store."""


def prepare_ingest(store: ObjectStore, command_line: CommandLine, folder: Path) -> Job:
    """Prepare the ingest of a file of new observations."""
    rows = draw_observations(Era.LEGACY, ROWS + OLD_ROWS, seed=1)
    old, new = rows.head(OLD_ROWS), rows.tail(ROWS)
    table = ObservationsTable(store.settings)
    ingest_rows(table, store, old, folder)
    new.to_csv(folder / "new.csv", index=False)
    return Job(
        lambda: _run(command_line, "ingest", str(folder / "new.csv")),
        _name_objects(old),
        _name_objects(new),
        lambda: _list_objects(table.read(table.version(), list(KEY))),
        reads=r"observations/_delta_log/.*json$",
        upload=r"observations/era=.*parquet",
        commit=r"observations/_delta_log/.*json$",
    )


def prepare_score(store: ObjectStore, command_line: CommandLine, folder: Path) -> Job:
    """Prepare the scoring of the observations that are new in the table."""
    rows = draw_observations(Era.LEGACY, ROWS + OLD_ROWS, seed=1)
    old, new = rows.head(OLD_ROWS), rows.tail(ROWS)
    table = ObservationsTable(store.settings)
    release = publish_tree(store, folder / "release", MODE)
    score = ("score", "table:", "--release", release.id)
    ingest_rows(table, store, old, folder)
    assert _run(command_line, *score) == ""
    ingest_rows(table, store, new, folder)
    return Job(
        lambda: _run(command_line, *score),
        _name_objects(old),
        _name_objects(new),
        lambda: _list_objects(read_predictions(store.settings, release)),
        reads=r"manifest\.json$",
        upload=r"predictions/model_version=.*parquet",
        commit=r"predictions/_delta_log/.*json$",
    )


def prepare_drift(store: ObjectStore, command_line: CommandLine, folder: Path) -> Job:
    """Prepare the evaluation of a window of the prediction log."""
    champions = LocalChampionStore(store)
    release = publish_reference(champions, folder, draw_observations(Era.LEGACY, 500, seed=1))
    write_log_rows(store, make_log_rows(draw_observations(Era.LEGACY, ROWS, seed=2), release.id))
    window = ("--start", f"{START:%Y-%m-%d}", "--end", f"{END:%Y-%m-%d}")
    return Job(
        lambda: _run(command_line, "drift", *window),
        frozenset(),
        frozenset({f"window {START}"}),
        lambda: [
            f"window {each.window_start}" for each in load_documents(store, DriftVerdict, MODE)
        ],
        reads=r"date=.*parquet",
        upload=r"report\.html$",
        commit=r"verdict\.json$",
    )


def prepare_maintain(store: ObjectStore, command_line: CommandLine, folder: Path) -> Job:
    """Prepare the maintenance of hours of the prediction log."""
    release = publish_tree(store, folder / "release", MODE)
    rows = make_log_rows(draw_observations(Era.LEGACY, ROWS, seed=2), release.id)
    for part in (rows.head(ROWS // 2), rows.tail(ROWS // 2)):
        write_log_rows(store, part)

    def list_rows() -> list[str]:
        found = read_log(store, START, END, MODE, release.id).rows
        return [f"{each.prediction_id}-{each.row}" for each in found.itertuples()]

    return Job(
        lambda: _run(command_line, "maintain"),
        frozenset(list_rows()),
        frozenset({"merged"}),
        lambda: [*list_rows(), *(["merged"] if _has_index(store) else [])],
        reads=r"date=.*parquet",
        upload=r"hour=.*parquet",
        commit=r"hour=00/index\.json$",
    )


def prepare_publish(store: ObjectStore, command_line: CommandLine, folder: Path) -> Job:
    """Prepare the publication of a release, the last step of a training."""
    registry = Registry(store)
    registry.publish(draft(MODE, run_id="old"), write_files(folder / "files"))

    def run() -> str:
        try:
            champions = LocalChampionStore(ObjectStore(load_settings()))
            champions.get_champion(MODE)
            champions.registry.publish(draft(MODE, run_id="new"), write_files(folder / "files"))
        except SkyclassError as error:
            return f"error: {error}"
        return ""

    return Job(
        run,
        frozenset({"old"}),
        frozenset({"new"}),
        lambda: [each.manifest.run_id for each in registry.list_releases(MODE)],
        reads=r"manifest\.json$",
        upload=r"model\.joblib$",
        commit=r"manifest\.json$",
    )


every_job = pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(prepare, id=prepare.__name__.removeprefix("prepare_"))
        for prepare in (
            prepare_ingest,
            prepare_publish,
            prepare_score,
            prepare_drift,
            prepare_maintain,
        )
    ],
)
"""Parametrises a test over all jobs."""


def run_again(job: Job, history: History) -> None:
    """Run a job after a fault, which must succeed, and read what is there."""
    with history.recovery():
        assert job.run() == ""
        history.acknowledge(*job.keys)
    history.find(job.find())


def _has_index(store: ObjectStore) -> bool:
    keys = store.list_keys(store.settings.logs_bucket, "date=")
    return any(key.endswith("hour=00/index.json") for key in keys)


def _run(command_line: CommandLine, *arguments: str) -> str:
    """Run a command, and return the line of its error."""
    result = command_line.run(*arguments)
    if result.status == 0:
        return ""
    assert (result.status, result.out) == (1, "")
    assert "Traceback" not in result.err
    lines = [line for line in result.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, result.err
    return lines[0]


def _list_objects(rows: pd.DataFrame) -> list[str]:
    return [f"{plate}-{mjd}-{fibre}" for plate, mjd, fibre in rows[list(KEY)].to_numpy()]


def _name_objects(rows: pd.DataFrame) -> frozenset[str]:
    return frozenset(_list_objects(rows))
