"""Replay real observations in the order of their nights, with and without the retraining loop.

    python -m benchmarks.replay FILE [-o docs/replay.svg]

A window has 1,000 objects. Both models start as the same release, trained on the first 3,000
objects. The baseline is never replaced. The champion of the loop is monitored: each window gets a
drift verdict. When `decide` returns a retraining, a challenger is trained on the newest labels, and
promoted if it passes the gate. Labels arrive one window after the predictions. Drift policy,
retraining policy and gate are those of production. KFP and an object store are not used.
"""

import argparse
import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from skyclass.ingest.validation import validate_rows
from skyclass.monitoring.decisions import Action, Decision, Run, RunState
from skyclass.monitoring.drift_job import make_verdict
from skyclass.monitoring.drift_policy import evaluate_window, make_drift_frame
from skyclass.monitoring.estimate import estimate_accuracy
from skyclass.monitoring.retraining_context import RetrainingContext
from skyclass.monitoring.retraining_policy import decide
from skyclass.monitoring.settings import NEWEST_ROWS
from skyclass.monitoring.verdict import DriftVerdict, Verdict
from skyclass.monitoring.windows import Accounting, Window
from skyclass.registry.manifest import TrainingSet
from skyclass.registry.models import Engine, make_joblib_engine
from skyclass.sources.files import FileSource
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import CLASSES, FIRST_MJD, Era
from skyclass.tables.prediction_log import PROBABILITIES
from skyclass.training.candidates import CANDIDATES
from skyclass.training.dataset import Dataset
from skyclass.training.evaluation import (
    RANDOM_HOLDOUT,
    ChampionEvaluation,
    ModelEvaluation,
    evaluate,
)
from skyclass.training.gate import check_gate
from skyclass.training.reports.plots import ACCENT, MUTED, to_svg

FIRST_ROWS = 3_000
WINDOW_ROWS = 1_000
DAY = timedelta(days=1)
_START = datetime(2026, 1, 1, tzinfo=UTC)
_CANDIDATE = "hist_gradient_boosting"


@dataclass(frozen=True)
class Step:
    """Results for one window.

    Attributes:
        night: Median night of the observations (MJD).
        baseline_accuracy: Accuracy of the first release, which is never replaced.
        accuracy: Accuracy of the loop's champion.
        estimated_accuracy: Accuracy of the champion, estimated from its confidences without labels.
        verdict: Drift verdict on the champion's predictions.
        action: Action of the retraining policy.
        is_promoted: Whether the retraining promoted a new champion.
    """

    night: float
    baseline_accuracy: float
    accuracy: float
    estimated_accuracy: float
    verdict: Verdict
    action: Action
    is_promoted: bool


@dataclass(frozen=True)
class Model:
    """A release that is kept in memory."""

    id: str
    engine: Engine
    reference: pd.DataFrame
    training_set: TrainingSet


def read_labelled_observations(path: Path, mode: Mode) -> pd.DataFrame:
    """Read the labelled observations of a file with all inputs of a mode, ordered by night."""
    rows = pd.concat(
        validate_rows(batch.rows).valid.to_pandas()
        for batch in FileSource(path, str(path)).read_batches(0)
    )
    complete = rows[rows[list(INPUTS[mode])].gt(-9999).all(axis=1)].dropna(subset=["class"])
    return complete.sort_values(["mjd", "plate", "fiber_id"], ignore_index=True)


def replay(rows: pd.DataFrame, mode: Mode) -> Iterator[Step]:
    """Yield the results of each window, in order of the nights."""
    baseline = _train(rows.head(FIRST_ROWS), mode, version=0)
    champion = baseline
    verdicts: list[DriftVerdict] = []
    decisions: list[Decision] = []
    for number in range((len(rows) - FIRST_ROWS) // WINDOW_ROWS):
        start = FIRST_ROWS + number * WINDOW_ROWS
        window = rows.iloc[start : start + WINDOW_ROWS]
        now = _START + DAY * (number + 1)
        predictions = _predict(champion.engine, window, mode)
        verdicts.append(_evaluate_window(champion, predictions, mode, now))
        outcome = decide(
            RetrainingContext(
                now=now,
                champion=champion.id,
                parent=None,
                trained_on=champion.training_set.version,
                table_version=number,  # labels arrive one window late
                verdicts=verdicts,
                decisions=decisions,
            )
        )
        estimate = estimate_accuracy(champion.reference, predictions)
        step = Step(
            night=float(window["mjd"].median()),
            baseline_accuracy=_compute_accuracy(_predict(baseline.engine, window, mode)),
            accuracy=_compute_accuracy(predictions),
            estimated_accuracy=estimate.accuracy if estimate else float("nan"),
            verdict=verdicts[-1].verdict,
            action=outcome.action,
            is_promoted=False,
        )
        run = None
        if outcome.action is Action.RETRAIN:
            labelled = rows.iloc[:start].tail(NEWEST_ROWS)
            challenger = _train(labelled, mode, version=number)
            is_promoted = _passes_gate(challenger, champion, labelled, mode)
            champion = challenger if is_promoted else champion
            run = Run(state=RunState.SUCCEEDED, id=challenger.id, promoted=is_promoted)
            step = replace(step, is_promoted=is_promoted)
        decisions.append(
            Decision(
                mode=mode,
                window_end=now,
                decided_at=now,
                champion=champion.id,
                table_version=number,
                action=outcome.action,
                cause=outcome.cause,
                reason=outcome.reason,
                run=run,
            )
        )
        yield step


def draw_accuracy(steps_by_mode: dict[Mode, list[Step]]) -> Figure:
    """Draw the accuracy over the nights, with and without the loop, one panel per mode."""
    figure = Figure(figsize=(9.2, 2.9 * len(steps_by_mode)), facecolor="white")
    panels = np.atleast_1d(figure.subplots(len(steps_by_mode), sharex=True))
    for axes, (mode, steps) in zip(panels, steps_by_mode.items(), strict=True):
        nights = [step.night for step in steps]
        baseline, accuracy, estimated = (
            [getattr(step, name) for step in steps]
            for name in ("baseline_accuracy", "accuracy", "estimated_accuracy")
        )
        axes.plot(nights, baseline, color=MUTED, lw=1.8, marker="o", ms=3.5)
        axes.plot(nights, accuracy, color=ACCENT, lw=2.2, marker="o", ms=4)
        axes.plot(nights, estimated, color=ACCENT, lw=1, ls=(0, (4, 3)))
        for step in steps:
            if step.is_promoted:
                axes.axvline(step.night, color=ACCENT, alpha=0.25, lw=1, zorder=0)
        low = min(baseline)
        axes.set_ylim(low - 0.03, 1.01)
        axes.set_title(f"{mode.capitalize()} mode", loc="left", fontsize=11, fontweight="bold")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e6e8ee", lw=0.8)
        axes.set_axisbelow(True)
        axes.text(
            1, 1.03, f"mean {np.mean(accuracy):.1%} with the loop, {np.mean(baseline):.1%} without",
            transform=axes.transAxes, ha="right", fontsize=9, color="#4b5563",
        )  # fmt: skip
        for name, era in {"BOSS": Era.BOSS, "eBOSS": Era.EBOSS}.items():
            first_mjd = FIRST_MJD[era]
            axes.axvline(first_mjd, color="#c9ccd6", lw=1, ls=":")
            axes.text(first_mjd + 25, low - 0.022, f"{name} starts", fontsize=8, color="#6b7280")
    handles = panels[0].get_lines()[:3]
    panels[0].legend(
        handles,
        ["first release, never replaced", "with the loop", "estimated without labels"],
        loc="lower left", bbox_to_anchor=(0.0, 0.12), frameon=False, fontsize=9,
    )  # fmt: skip
    panels[-1].set_xlabel("Night of the observations (MJD); faint vertical lines: promotions")
    figure.tight_layout()
    return figure


def _train(rows: pd.DataFrame, mode: Mode, version: int) -> Model:
    dataset = _make_dataset(rows, mode, version)
    held_out = dataset.random_holdout
    estimator = CANDIDATES[_CANDIDATE].make(0)
    estimator.fit(dataset.features[~held_out], dataset.labels[~held_out])
    engine = make_joblib_engine(estimator)
    release_id = hashlib.sha256(f"{mode} {version}".encode()).hexdigest()
    reference = _predict(engine, dataset.rows[held_out], mode)
    return Model(release_id, engine, reference, dataset.summary)


def _make_dataset(rows: pd.DataFrame, mode: Mode, version: int) -> Dataset:
    summary = TrainingSet(
        table="replay",
        version=version,
        rows=len(rows),
        first_mjd=int(rows["mjd"].min()),
        watermark=int(rows["mjd"].max()),
        synthetic_rows=0,
    )
    return Dataset(rows.reset_index(drop=True), summary, mode)


def _passes_gate(challenger: Model, champion: Model, rows: pd.DataFrame, mode: Mode) -> bool:
    """Return whether the challenger passes the gate on the held-out rows of its training set."""
    dataset = _make_dataset(rows, mode, challenger.training_set.version)
    held_out = dataset.random_holdout
    features, labels = dataset.features[held_out], dataset.labels[held_out]
    evaluations, probabilities = [], []
    for model in (challenger, champion):
        probabilities.append(model.engine(features))
        evaluations.append(evaluate(labels, probabilities[-1], mode, RANDOM_HOLDOUT))
    verdict = check_gate(
        dataset,
        ModelEvaluation((evaluations[0],), probabilities[0]),
        ChampionEvaluation(champion.id, champion.training_set, evaluations[1], probabilities[1]),
    )
    return verdict.passed


def _predict(engine: Engine, rows: pd.DataFrame, mode: Mode) -> pd.DataFrame:
    probabilities = engine(_make_dataset(rows, mode, 0).features)
    return rows.assign(
        predicted=np.array(CLASSES, dtype=object)[probabilities.argmax(axis=1)],
        **dict(zip(PROBABILITIES, probabilities.T, strict=True)),
    )


def _evaluate_window(
    champion: Model, predictions: pd.DataFrame, mode: Mode, end: datetime
) -> DriftVerdict:
    reference = make_drift_frame(champion.reference, mode)
    window = make_drift_frame(predictions, mode)
    accounting = Accounting(rows_in=len(window), rows_used=len(window))
    return make_verdict(
        Window(mode, champion.id, end - DAY, end),
        evaluate_window(reference, window, accounting),
        accounting,
        reference,
        window,
        champion.training_set,
    )


def _compute_accuracy(rows: pd.DataFrame) -> float:
    return float((rows["predicted"] == rows["class"]).mean())


def main() -> None:
    """Replay both modes, print the results of each window, and draw them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path, help="CSV or Parquet file of observations")
    parser.add_argument("-o", "--output", type=Path, help="SVG file to write the chart to")
    arguments = parser.parse_args()
    steps: dict[Mode, list[Step]] = {}
    for mode in Mode:
        steps[mode] = []
        for step in replay(read_labelled_observations(arguments.file, mode), mode):
            steps[mode].append(step)
            sys.stdout.write(
                f"{mode}  night {step.night:.0f}  without {step.baseline_accuracy:.3f}"
                f"  with {step.accuracy:.3f}  estimated {step.estimated_accuracy:.3f}"
                f"  {step.verdict:8}  {step.action}{', promoted' if step.is_promoted else ''}\n"
            )
            sys.stdout.flush()
        error = np.mean([abs(each.estimated_accuracy - each.accuracy) for each in steps[mode]])
        gain = np.mean([each.accuracy - each.baseline_accuracy for each in steps[mode]])
        sys.stdout.write(f"{mode}  gain {gain:+.4f}  mean error of the estimate {error:.4f}\n")
    if arguments.output:
        arguments.output.write_text(to_svg(draw_accuracy(steps)))


if __name__ == "__main__":
    main()
