"""Two weeks of monitoring for the tests of the pages: the survey changes, and the loop retrains.

Verdicts and accuracies come from the drift policy and the accuracy job. Only the newest window has
a report, because rendering one takes seconds.
"""

from datetime import datetime, timedelta
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.tree import DecisionTreeClassifier

from skyclass.monitoring.accuracy_job import update_accuracy
from skyclass.monitoring.decisions import Action, Cause, Decision, Run, RunState
from skyclass.monitoring.documents import save_document
from skyclass.monitoring.drift_job import make_verdict, run_drift
from skyclass.monitoring.drift_policy import evaluate_window, make_drift_frame
from skyclass.monitoring.windows import Window
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.manifest import TrainingSet
from skyclass.registry.releases import JOBLIB_MODEL, MODEL_CARD, REFERENCE, Release
from skyclass.registry.verdicts import Check, GateVerdict
from skyclass.scoring.inputs import open_input
from skyclass.scoring.score import score
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode, make_features
from skyclass.survey.observation import CLASSES, Era
from skyclass.tables import OBSERVATIONS_URI
from skyclass.tables.log.schema import PROBABILITIES, REFERENCE_SCHEMA
from skyclass.tables.observations import ObservationsTable
from skyclass.training.evaluation import evaluate
from skyclass.training.gate.comparison import check_not_worse, compare_slices
from skyclass.training.gate.floors import check_slice_floors
from skyclass.training.gate.rows import HeldOutRows
from skyclass.training.reports.card import render_model_card
from skyclass.training.uncertainty.calibration_rows import CalibrationRows, Patterns
from skyclass.training.uncertainty.conformal import calibrate_label_sets
from skyclass.training.uncertainty.purity_cuts import find_purity_cuts
from tests.support.monitoring import (
    END,
    add_predictions,
    count_valid,
    draw_observations,
    ingest_rows,
    make_frame,
    make_log_rows,
    write_log_rows,
)
from tests.support.releases import draft
from tests.support.uncertainty import make_patterns

MODE = Mode.SPECTROSCOPIC
DAY = timedelta(days=1)
NOW = END + timedelta(hours=9)
ROWS = 600
"""Predictions per window."""
WINDOWS = 14
UNLABELLED_WINDOWS = 3
_FIRST_WINDOW_OF_SUCCESSOR = 9


def build(store: ObjectStore, table: ObservationsTable, folder: Path) -> None:
    """Fill a store; its newest window ends at END."""
    champions = LocalChampionStore(store)
    legacy = draw_observations(Era.LEGACY, 10_000, seed=1)
    boss = draw_observations(Era.BOSS, 10_000, seed=2)
    first = _publish(champions, folder / "a", legacy.tail(1_500), 0.03, None)
    champions.promote(first, "first release: reaches every floor", "bootstrap")
    champion, observed = first, []
    for number in range(WINDOWS):
        end = END - DAY * (WINDOWS - 1 - number)
        if number == _FIRST_WINDOW_OF_SUCCESSOR:
            champion = _publish(champions, folder / "b", boss.tail(1_500), 0.04, first)
            champions.promote(champion, "2 of the last 3 windows drifted: better", "run-17")
        boss_share = 0.0 if number < 4 else min(1.0, 0.25 * (number - 3))
        rows = _mix(legacy, boss, boss_share, number)
        observed.append(rows)
        error_rate = 0.03 + 0.12 * boss_share if champion is first else 0.04
        _log_predictions(store, rows, champion, error_rate, end)
        if number < WINDOWS - 1:
            _save_verdict(store, champions, champion, rows, end)
        _save_decision(store, champion, number, end)
    run_drift(store, champions, MODE, END - DAY, END)
    ingest_rows(table, store, pd.concat(observed[:-UNLABELLED_WINDOWS]), folder)
    update_accuracy(store, champions, MODE)
    score(store.settings, open_input(store.settings, OBSERVATIONS_URI), champion)


def _mix(legacy: pd.DataFrame, boss: pd.DataFrame, boss_share: float, number: int) -> pd.DataFrame:
    part = slice(number * ROWS, (number + 1) * ROWS)
    boss_rows = round(ROWS * boss_share)
    return pd.concat([boss[part].head(boss_rows), legacy[part].head(ROWS - boss_rows)])


def _add_errors(rows: pd.DataFrame, error_rate: float, seed: int) -> pd.DataFrame:
    """Make a share of the predictions wrong, with lower confidence."""
    rng = np.random.default_rng(seed)
    wrong = np.flatnonzero(rng.random(len(rows)) < error_rate)
    index = rows["predicted"].map({name: each for each, name in enumerate(CLASSES)}).to_numpy()
    confidence = rng.beta(30, 2, len(rows))
    confidence[wrong] = rng.beta(8, 5, len(wrong)).clip(0.4)
    index[wrong] = (index[wrong] + rng.integers(1, 3, len(wrong))) % len(CLASSES)
    probabilities = np.repeat(((1 - confidence) / 2)[:, None], len(CLASSES), axis=1)
    probabilities[np.arange(len(rows)), index] = confidence
    changed = rows.assign(predicted=np.array(CLASSES, dtype=object)[index])
    changed[list(PROBABILITIES)] = probabilities
    return changed


def _publish(
    champions: LocalChampionStore,
    folder: Path,
    rows: pd.DataFrame,
    error_rate: float,
    parent: Release | None,
) -> Release:
    folder.mkdir(parents=True)
    reference = _add_errors(add_predictions(rows), error_rate, seed=0)
    model = DecisionTreeClassifier(max_depth=8, random_state=0)
    features = make_features(rows[list(INPUTS[MODE])], MODE)
    joblib.dump(model.fit(features, rows["class"].astype(str)), folder / JOBLIB_MODEL)
    table = pa.Table.from_pandas(reference, schema=REFERENCE_SCHEMA, preserve_index=False)
    pq.write_table(table, folder / REFERENCE)
    labels = reference["class"].to_numpy(object)
    metrics = evaluate(labels, reference[list(PROBABILITIES)].to_numpy(), MODE, "random_holdout")
    reason = "reaches every floor, and there is no champion yet"
    if parent:
        values = f"{metrics.macro_f1:.4f} against {metrics.macro_f1 - 0.07:.4f}"
        reason = (
            f"better than the champion: macro-F1 {values} on the random hold-out "
            f"({len(reference):,} rows, p < 0.001), and not worse in any of 10 comparisons"
        )
    manifest = draft(
        MODE,
        candidate="hist_gradient_boosting",
        metrics={"random_holdout": metrics},
        parent=parent.id if parent else None,
        run_id="run-17" if parent else "bootstrap",
        created_at=END - DAY * (5 if parent else 15) + timedelta(hours=1),
        training_set=TrainingSet(
            table="s3://skyclass-data/observations",
            version=2 if parent else 1,
            rows=5_000,
            first_mjd=int(rows["mjd"].min()),
            watermark=int(rows["mjd"].max()),
            synthetic_rows=5_000,
        ),
        label_sets=calibrate_label_sets(_make_patterns(reference)),
        purity_cuts=find_purity_cuts(_make_patterns(reference)),
        gate=GateVerdict(
            passed=True,
            reason=reason,
            challenger_macro_f1=metrics.macro_f1,
            rows=len(reference),
            checks=_check(reference, _add_errors(add_predictions(rows), error_rate + 0.07, seed=1)),
        ),
    )
    (folder / MODEL_CARD).write_text(render_model_card(manifest))
    files = {name: folder / name for name in (REFERENCE, JOBLIB_MODEL, MODEL_CARD)}
    return champions.registry.publish(manifest, files)


def _make_patterns(reference: pd.DataFrame) -> Patterns:
    labels = np.argmax([reference["class"] == name for name in CLASSES], axis=0)
    return make_patterns(CalibrationRows(labels, reference[list(PROBABILITIES)].to_numpy()))


def _check(release: pd.DataFrame, champion: pd.DataFrame) -> tuple[Check, ...]:
    """Return checks of the gate on predictions for the same rows."""
    rows = HeldOutRows(
        labels=np.argmax([release["class"] == name for name in CLASSES], axis=0),
        r=release["r"].to_numpy(),
        nights=release["mjd"].to_numpy(),
        is_newest=np.zeros(len(release), dtype=bool),
    )
    probabilities = [each[list(PROBABILITIES)].to_numpy() for each in (release, champion)]
    comparisons = compare_slices(rows, *probabilities)
    return (*check_slice_floors(rows, probabilities[0], MODE), *check_not_worse(comparisons))


def _log_predictions(
    store: ObjectStore, rows: pd.DataFrame, champion: Release, error_rate: float, end: datetime
) -> None:
    logged = _add_errors(make_log_rows(rows, champion.id), error_rate, seed=end.day)
    times = end - (END - logged["time"]) / 12  # the last two hours, so that there are two files
    logged = logged.assign(time=times.dt.floor("us"), prediction_id=f"{end:%Y-%m-%d}")
    write_log_rows(store, logged)


def _save_verdict(
    store: ObjectStore,
    champions: LocalChampionStore,
    champion: Release,
    rows: pd.DataFrame,
    end: datetime,
) -> None:
    data = champions.registry.read_file(champion, REFERENCE)
    reference = make_drift_frame(pd.read_parquet(pa.BufferReader(data)), MODE)
    window, accounting = make_frame(rows), count_valid(rows)
    verdict = make_verdict(
        Window(MODE, champion.id, end - DAY, end),
        evaluate_window(reference, window, accounting),
        accounting,
        reference,
        window,
        champion.manifest.training_set,
    )
    save_document(store, verdict)


def _save_decision(store: ObjectStore, champion: Release, number: int, end: datetime) -> None:
    action, cause, run = Action.WAIT, Cause.STEADY, None
    reason = "0 of the champion's last 3 windows drifted, 2 of 3 are required (newest: no_drift)"
    if number == _FIRST_WINDOW_OF_SUCCESSOR - 3:
        cause, reason = Cause.NOTHING_NEW, "drift, but no observations were ingested since the last"
    if number == _FIRST_WINDOW_OF_SUCCESSOR - 2:
        action, cause = Action.RETRAIN, Cause.DRIFT
        reason = "2 of the last 3 windows drifted"
        run = Run(state=RunState.FAILED, id="run-16", message="step ingest: timed out")
    if number == _FIRST_WINDOW_OF_SUCCESSOR - 1:
        action, cause = Action.RETRAIN, Cause.DRIFT
        reason = f"3 of the last 3 windows drifted (the newest ended {end:%Y-%m-%d %H:%M} UTC)"
        link = "https://kfp.example.org/#/runs/details/run-17"
        run = Run(state=RunState.SUCCEEDED, id="run-17", link=link, release="b" * 64, promoted=True)
    decision = Decision(
        mode=MODE,
        window_end=end,
        decided_at=end + timedelta(minutes=15),
        champion=champion.id,
        table_version=1,
        action=action,
        cause=cause,
        reason=reason,
        run=run,
    )
    save_document(store, decision)
