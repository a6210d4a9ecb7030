"""The gate: floors that every model must reach, and the champion that a challenger must beat."""

from collections.abc import Mapping
from dataclasses import dataclass

from skyclass.registry.manifest import Evaluation
from skyclass.registry.verdicts import GateVerdict
from skyclass.survey.features import Mode
from skyclass.training.parameters import PromotionPolicy

MIN_MACRO_F1_GAIN = 0.001
"""Smallest gain over the champion: less is within noise, and a rollout has a cost."""


@dataclass(frozen=True)
class Floors:
    """Minimum metrics on the random hold-out; `calibration_error` is a maximum."""

    accuracy: float
    macro_f1: float
    qso_recall: float
    calibration_error: float


FLOORS: Mapping[Mode, Floors] = {
    Mode.SPECTROSCOPIC: Floors(
        accuracy=0.93, macro_f1=0.93, qso_recall=0.75, calibration_error=0.05
    ),
    Mode.PHOTOMETRIC: Floors(accuracy=0.80, macro_f1=0.74, qso_recall=0.60, calibration_error=0.09),
}
"""A model below these floors points to a bug or to bad data, not to a weak algorithm.

Each floor is a little below the worst of 15 splits of real DR17 rows by era (5,000 to 9,000 rows
each, random forest and gradient boosting). These were, in the two modes: accuracy 0.946 and 0.817,
macro-F1 0.953 and 0.762, QSO recall 0.826 and 0.682, calibration error 0.037 and 0.069."""


@dataclass(frozen=True)
class ChampionEvaluation:
    """Metrics of the current champion on the challenger's random hold-out."""

    release_id: str
    evaluation: Evaluation


def check_gate(
    challenger: Evaluation,
    champion: ChampionEvaluation | None,
    policy: PromotionPolicy = PromotionPolicy.IF_BETTER,
) -> GateVerdict:
    """Decide whether a challenger may become the champion.

    Args:
        challenger: Its metrics on the random hold-out.
        champion: Metrics of the current champion on the same rows, if there is a champion.
        policy: What the release needs to be promoted.
    """
    missed = _missed_floors(challenger)
    if missed:
        passed, reason = False, f"below the {challenger.mode} floor: {'; '.join(missed)}"
    elif champion is None:
        passed, reason = True, "reaches every floor, and there is no champion yet"
    else:
        gain = challenger.macro_f1 - champion.evaluation.macro_f1
        passed = gain >= MIN_MACRO_F1_GAIN
        reason = (
            f"macro-F1 {challenger.macro_f1:.4f} against the champion's "
            f"{champion.evaluation.macro_f1:.4f} on the same {challenger.rows} hold-out rows: "
            + ("better" if passed else f"not better by at least {MIN_MACRO_F1_GAIN}")
        )
    return GateVerdict(
        passed=passed,
        reason=reason,
        champion=champion.release_id if champion else None,
        champion_macro_f1=champion.evaluation.macro_f1 if champion else None,
        challenger_macro_f1=challenger.macro_f1,
        rows=challenger.rows,
    )


def _missed_floors(metrics: Evaluation) -> list[str]:
    floors = FLOORS[metrics.mode]
    minima = {
        "accuracy": (metrics.accuracy, floors.accuracy),
        "macro-F1": (metrics.macro_f1, floors.macro_f1),
        "QSO recall": (metrics.classes["QSO"].recall, floors.qso_recall),
    }
    missed = [
        f"{name} {value:.3f} < {floor}" for name, (value, floor) in minima.items() if value < floor
    ]
    if metrics.calibration_error > floors.calibration_error:
        missed.append(
            f"calibration error {metrics.calibration_error:.3f} > {floors.calibration_error}"
        )
    return missed
