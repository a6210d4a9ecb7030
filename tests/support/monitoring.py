"""Rows as the predictor logs them, and releases with a reference to compare them with."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from skyclass.ingest.job import ingest
from skyclass.ingest.validation import validate_rows
from skyclass.monitoring.accounting import Accounting
from skyclass.monitoring.accuracy_job import ParentComparison, WindowAccuracy
from skyclass.monitoring.decisions import Run
from skyclass.monitoring.documents import save_document
from skyclass.monitoring.drift_policy import POLICY, make_drift_frame
from skyclass.monitoring.verdict import ClassShares, DriftVerdict, Verdict
from skyclass.promotion.champions import ChampionStore
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import REFERENCE, Registry, Release
from skyclass.sources.files import FileSource
from skyclass.sources.simulated import draw
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import CLASSES, MEASUREMENTS, Era
from skyclass.tables.log.schema import LOG_SCHEMA, PROBABILITIES, REFERENCE_SCHEMA
from skyclass.tables.log.write import encode_log, write_batch
from skyclass.tables.observations import ObservationsTable
from tests.support.releases import draft, write_files

START = datetime(2026, 5, 1, tzinfo=UTC)
END = START + timedelta(days=1)


class ExitingStore(ObjectStore):
    """A store that exits the process before it writes a verdict."""

    def put(self, bucket: str, key: str, data: bytes, content_type: str) -> None:
        if key.endswith(DriftVerdict.file_name):
            raise SystemExit(137)
        super().put(bucket, key, data, content_type)


class NoTrainer:
    """Fails if a run is to be started."""

    def start(self, name: str, parameters: Mapping[str, str]) -> Run:
        raise AssertionError(name, parameters)

    def find(self, name: str) -> Run | None:
        raise AssertionError(name)

    def refresh(self, run: Run) -> Run:
        raise AssertionError(run)


def draw_observations(era: Era, size: int, seed: int) -> pd.DataFrame:
    """Draw simulated observations of one era without missing measurements."""
    return _drop_incomplete(draw(era, 0, size + 10, seed).to_pandas()).head(size)


def read_observations(path: Path) -> pd.DataFrame:
    """Read the valid observations of a file without missing measurements, ordered by night."""
    rows = pd.concat(
        validate_rows(batch.rows).valid.to_pandas()
        for batch in FileSource(path, str(path)).read_batches(0)
    )
    return _drop_incomplete(rows).sort_values("mjd", kind="stable")


def _drop_incomplete(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[(rows[list(MEASUREMENTS)] > -9999).all(axis=1)]


def add_predictions(observations: pd.DataFrame) -> pd.DataFrame:
    """Add the predictions of a release that is always right, with a confidence of 0.9."""
    labels = observations["class"].to_numpy()
    probabilities = {
        column: np.where(labels == name, 0.9, 0.05)
        for column, name in zip(PROBABILITIES, CLASSES, strict=True)
    }
    rows = observations.assign(predicted=labels, **probabilities).reset_index(drop=True)
    absent = [name for name in REFERENCE_SCHEMA.names if name not in rows.columns]
    return rows.reindex(columns=[*rows.columns, *absent])


def make_frame(observations: pd.DataFrame, mode: Mode = Mode.SPECTROSCOPIC) -> pd.DataFrame:
    """Return the drift frame of observations that are predicted correctly."""
    return make_drift_frame(add_predictions(observations), mode)


def count_valid(window: pd.DataFrame) -> Accounting:
    """Return the accounting of a window without duplicate or invalid rows."""
    return Accounting(rows_in=len(window), rows_used=len(window))


def make_log_rows(
    observations: pd.DataFrame, release: str, mode: Mode = Mode.SPECTROSCOPIC
) -> pd.DataFrame:
    """Return the log rows of one request, with times spread over the window."""
    rows = add_predictions(observations)
    if mode is Mode.PHOTOMETRIC:
        rows["redshift"] = np.nan
    return rows.assign(
        time=pd.date_range(START, END, periods=len(rows) + 1)[:-1].floor("us"),
        prediction_id="prediction",
        request_id="request",
        idempotency_key=None,
        row=np.arange(len(rows)),
        model_version=release,
        mode=str(mode),
    )[LOG_SCHEMA.names]


def write_log_rows(store: ObjectStore, rows: pd.DataFrame) -> list[str]:
    """Write rows to the prediction log, and return the keys of the files."""
    return write_log(store, pa.Table.from_pandas(rows, schema=LOG_SCHEMA, preserve_index=False))


def write_log(store: ObjectStore, rows: pa.Table) -> list[str]:
    """Write a table to the prediction log in new files, and return their keys."""
    batches = encode_log(rows, f"predictor-0-{uuid4().hex}")
    for batch in batches:
        write_batch(store, batch)
    return [batch.key for batch in batches]


def ingest_rows(
    table: ObservationsTable, store: ObjectStore, rows: pd.DataFrame, folder: Path
) -> None:
    """Ingest observations with their labels."""
    path = folder / f"{len(rows)}.csv"
    rows.to_csv(path, index=False)
    ingest(FileSource(path, str(path)), table, store)


def write_reference(folder: Path, observations: pd.DataFrame) -> Path:
    """Write the reference of a release that predicts these observations correctly."""
    rows = pa.Table.from_pandas(
        add_predictions(observations), schema=REFERENCE_SCHEMA, preserve_index=False
    )
    pq.write_table(rows, folder / REFERENCE)
    return folder / REFERENCE


def publish_reference(
    champions: LocalChampionStore,
    folder: Path,
    reference: pd.DataFrame,
    mode: Mode = Mode.SPECTROSCOPIC,
) -> Release:
    """Publish and promote a release that has a reference and no model."""
    path = write_reference(folder, reference)
    training_set = draft(mode).training_set
    simulated = training_set.model_copy(update={"synthetic_rows": training_set.rows})
    release = champions.registry.publish(draft(mode, training_set=simulated), {REFERENCE: path})
    champions.promote(release, "for a test", "test")
    return release


def make_daily_verdict(verdict: Verdict, release: str, end: datetime) -> DriftVerdict:
    """Return a verdict on one day, without numbers."""
    return DriftVerdict(
        verdict=verdict,
        reason="for a test",
        mode=Mode.SPECTROSCOPIC,
        release=release,
        window_start=end - timedelta(days=1),
        window_end=end,
        accounting=Accounting(),
        window_rows=0,
        reference_rows=0,
        columns={},
        predictions=None,
        class_shares=ClassShares(reference={}, window={}),
        training_rows=0,
        synthetic_rows=0,
        policy=POLICY,
        seed=0,
    )


def promote_worse_release(
    store: ObjectStore, champions: ChampionStore, parent: Release, folder: Path
) -> Release:
    """Replace a champion by a release that a day of labelled predictions shows to be worse."""
    worse = Registry(store).publish(draft(parent.mode, run_id="worse"), write_files(folder))
    champions.promote(worse, "gate passed", "worse")
    save_document(store, make_daily_verdict(Verdict.NO_DRIFT, worse.id, END))
    accuracy = WindowAccuracy(
        mode=parent.mode,
        release=worse.id,
        window_start=START,
        window_end=END,
        answers=900,
        keyed=900,
        table_version=1,
        estimate=None,
        measured=None,
        rivalry=ParentComparison(parent=parent.id, rows=900, only_release=4, only_parent=80),
    )
    save_document(store, accuracy)
    return worse
