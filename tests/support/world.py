"""A fortnight of monitoring, made for the tests of the pages: a survey moves on, the loop answers.

Windows are judged by the rule and measured by the job; only the charts of all but the newest
report are left out, which take seconds each.
"""

from datetime import datetime, timedelta
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.tree import DecisionTreeClassifier

from skyclass.monitoring.drift import VERDICT, report_prefix, run_drift
from skyclass.monitoring.loop import DECISION
from skyclass.monitoring.measuring import measure_windows
from skyclass.monitoring.policy import POLICY, class_shares, drift_frame, judge
from skyclass.monitoring.retraining import Action, Cause, Decision, Run, RunState
from skyclass.monitoring.verdict import ClassShares, DriftVerdict
from skyclass.monitoring.windows import Accounting
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.manifest import GateVerdict, TrainingSet
from skyclass.registry.releases import JOBLIB_MODEL, REFERENCE, Release
from skyclass.scoring.inputs import open_input
from skyclass.scoring.score import score
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode, make_features
from skyclass.survey.observation import CLASSES, Era
from skyclass.tables import OBSERVATIONS_URI
from skyclass.tables.observations import ObservationsTable
from skyclass.tables.prediction_log import PROBABILITIES, REFERENCE_SCHEMA
from skyclass.training.evaluation import evaluate
from tests.support.monitoring import END, answered, log, log_rows, observe, simulated
from tests.support.releases import draft

MODE = Mode.SPECTROSCOPIC
DAY = timedelta(days=1)
NOW = END + timedelta(hours=9)
ROWS = 600
WINDOWS = 14
FIRST_OF_SUCCESSOR = 9
UNLABELLED = 3


def build(store: ObjectStore, table: ObservationsTable, folder: Path) -> LocalChampionStore:
    """Make the world; its newest window ends at END."""
    champions = LocalChampionStore(store)
    legacy, boss = simulated(Era.LEGACY, 10_000, seed=1), simulated(Era.BOSS, 10_000, seed=2)
    first = _publish(champions, folder / "a", legacy.tail(1_500), 0.03, None)
    champions.promote(first, "first release: reaches every floor", "bootstrap")
    second, seen = None, []
    for number in range(WINDOWS):
        end = END - DAY * (WINDOWS - 1 - number)
        if number == FIRST_OF_SUCCESSOR:
            second = _publish(champions, folder / "b", boss.tail(1_500), 0.04, first)
            champions.promote(second, "2 of the last 3 windows drifted: better", "run-17")
        champion = second or first
        share = 0.0 if number < 4 else min(1.0, 0.25 * (number - 3))
        rows = _mix(legacy, boss, share, number)
        seen.append(rows)
        wrong = 0.04 if champion is second else 0.03 + 0.12 * share
        _log(store, rows, champion, wrong, end)
        if number < WINDOWS - 1:
            _judge(store, champion, rows, end)
        _decide(store, champion, number, end, second)
    run_drift(store, champions, MODE, END - DAY, END)
    observe(table, store, pd.concat(seen[:-UNLABELLED]), folder)
    measure_windows(store, champions, MODE)
    score(store.settings, open_input(store.settings, OBSERVATIONS_URI), second or first)
    return champions


def _mix(legacy: pd.DataFrame, boss: pd.DataFrame, share: float, number: int) -> pd.DataFrame:
    part = slice(number * ROWS, (number + 1) * ROWS)
    late = round(ROWS * share)
    return pd.concat([boss[part].head(late), legacy[part].head(ROWS - late)])


def _err(rows: pd.DataFrame, wrong: float, seed: int) -> pd.DataFrame:
    """Answers of which a share is wrong, and those less sure."""
    rng = np.random.default_rng(seed)
    out = rows.copy()
    erring = np.flatnonzero(rng.random(len(out)) < wrong)
    at = out["predicted"].map({name: each for each, name in enumerate(CLASSES)}).to_numpy()
    sure = rng.beta(30, 2, len(out))
    sure[erring] = rng.beta(8, 5, len(erring)).clip(0.4)
    at[erring] = (at[erring] + rng.integers(1, 3, len(erring))) % len(CLASSES)
    probabilities = np.repeat(((1 - sure) / 2)[:, None], len(CLASSES), axis=1)
    probabilities[np.arange(len(out)), at] = sure
    out["predicted"] = np.array(CLASSES, dtype=object)[at]
    out[list(PROBABILITIES)] = probabilities
    return out


def _publish(
    champions: LocalChampionStore,
    folder: Path,
    rows: pd.DataFrame,
    wrong: float,
    parent: Release | None,
) -> Release:
    folder.mkdir(parents=True)
    reference = _err(answered(rows), wrong, seed=0)
    model = DecisionTreeClassifier(max_depth=8, random_state=0)
    features = make_features(rows[list(INPUTS[MODE])], MODE)
    joblib.dump(model.fit(features, rows["class"].astype(str)), folder / JOBLIB_MODEL)
    table = pa.Table.from_pandas(reference, schema=REFERENCE_SCHEMA, preserve_index=False)
    pq.write_table(table, folder / REFERENCE)
    labels = reference["class"].to_numpy(object)
    found = evaluate(labels, reference[list(PROBABILITIES)].to_numpy(), MODE, "random_holdout")
    against = "" if parent is None else f" against the champion's {found.macro_f1 - 0.07:.4f}"
    manifest = draft(
        MODE,
        candidate="hist_gradient_boosting",
        metrics={"random_holdout": found},
        parent=parent.id if parent else None,
        run_id="run-17" if parent else "bootstrap",
        created_at=END - DAY * (6 if parent else 15),
        training_set=TrainingSet(
            table="s3://skyclass-data/observations",
            version=2 if parent else 1,
            rows=5_000,
            first_mjd=int(rows["mjd"].min()),
            watermark=int(rows["mjd"].max()),
            synthetic_rows=5_000,
        ),
        gate=GateVerdict(
            passed=True,
            reason=f"macro-F1 {found.macro_f1:.4f}{against} on the same 1500 hold-out rows: better",
            challenger_macro_f1=found.macro_f1,
            rows=len(reference),
        ),
    )
    return champions.registry.publish(
        manifest, {name: folder / name for name in (REFERENCE, JOBLIB_MODEL)}
    )


def _log(
    store: ObjectStore, rows: pd.DataFrame, champion: Release, wrong: float, end: datetime
) -> None:
    logged = _err(log_rows(rows, champion.id), wrong, seed=end.day)
    evening = end - (END - logged["time"]) / 12  # two hours, and so two files
    log(store, logged.assign(time=evening.dt.floor("us"), request_id=f"{end:%Y-%m-%d}"))


def _judge(store: ObjectStore, champion: Release, rows: pd.DataFrame, end: datetime) -> None:
    data = LocalChampionStore(store).registry.read_file(champion, REFERENCE)
    reference = drift_frame(pd.read_parquet(pa.BufferReader(data)), MODE)
    window = drift_frame(answered(rows), MODE)
    accounting = Accounting(rows_in=len(window), rows_used=len(window))
    found = judge(reference, window, accounting)
    verdict = DriftVerdict(
        verdict=found.verdict,
        reason=found.reason,
        mode=MODE,
        release=champion.id,
        window_start=end - DAY,
        window_end=end,
        accounting=accounting,
        window_rows=len(window),
        reference_rows=len(reference),
        columns=found.columns,
        predictions=found.predictions,
        class_shares=ClassShares(reference=class_shares(reference), window=class_shares(window)),
        training_rows=5_000,
        synthetic_rows=5_000,
        policy=POLICY,
        seed=0,
    )
    _put(store, end, VERDICT, verdict.to_bytes())


def _decide(
    store: ObjectStore, champion: Release, number: int, end: datetime, second: Release | None
) -> None:
    action, cause, run = Action.WAIT, Cause.STEADY, None
    reason = "0 of the champion's last 3 windows drifted, and 2 of 3 must (the newest: no_drift)"
    if number == FIRST_OF_SUCCESSOR - 3:
        cause, reason = Cause.NOTHING_NEW, "drift, but nothing has been ingested since the last"
    if number == FIRST_OF_SUCCESSOR - 2:
        action, cause = Action.RETRAIN, Cause.DRIFT
        reason = "2 of the last 3 windows drifted"
        run = Run(state=RunState.FAILED, id="run-16", message="step ingest: no answer")
    if number == FIRST_OF_SUCCESSOR - 1:
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
    _put(store, end, DECISION, decision.to_bytes())


def _put(store: ObjectStore, end: datetime, name: str, data: bytes) -> None:
    key = report_prefix(MODE, end) + name
    store.put(store.settings.reports_bucket, key, data, "application/json")
