"""The verdict: what the checks mean for a release, in one sentence."""

from collections.abc import Mapping, Sequence

from skyclass.registry.manifest import Evaluation
from skyclass.registry.verdicts import (
    SMALLEST_P_VALUE,
    Check,
    GateVerdict,
    Outcome,
    join_descriptions,
)
from skyclass.training.evaluation import ChampionEvaluation
from skyclass.training.gate.policy import APPROVAL
from skyclass.training.gate.rows import PLACES

FLOORS: Mapping[str, str] = {
    "floor": "the random hold-out",
    "temporal_floor": "the temporal hold-out",
    "slice_floor": "",
}
"""Rows that the floors are checked on, by group of the check."""

SLICE = "slice"
_MAX_FLOORS = 3


def decide(
    checks: Sequence[Check], challenger: Evaluation, champion: ChampionEvaluation | None
) -> GateVerdict:
    """Decide whether a challenger may become the champion: it may unless a check failed.

    Args:
        checks: All checks, in order.
        challenger: Its metrics on the random hold-out.
        champion: Metrics of the champion on the same rows, if there is a champion.
    """
    return GateVerdict(
        passed=all(check.outcome is not Outcome.FAILED for check in checks),
        reason=_summarise(checks, challenger),
        champion=champion.release_id if champion else None,
        champion_macro_f1=champion.evaluation.macro_f1 if champion else None,
        challenger_macro_f1=challenger.macro_f1,
        rows=challenger.rows,
        checks=tuple(checks),
    )


def _summarise(checks: Sequence[Check], challenger: Evaluation) -> str:
    failed = [check for check in checks if check.outcome is Outcome.FAILED]
    if missed := [check for check in failed if check.group in FLOORS]:
        shown = [_describe_floor(check) for check in missed[:_MAX_FLOORS]]
        return f"below the {challenger.mode} floor: {join_descriptions(shown, len(missed))}"
    compared = [check for check in checks if check.group in (*PLACES, SLICE)]
    if not compared:
        return "reaches every floor, and there is no champion yet"
    if worse := [check for check in compared if check.outcome is Outcome.FAILED]:
        # The clearest slice says where, the clearest average how much.
        slices = [check for check in worse if check.group == SLICE]
        averages = [check for check in worse if check.group in PLACES]
        clearest = [min(each, key=_get_p_value) for each in (slices, averages) if each]
        shown = [_describe_comparison(check) for check in clearest]
        return f"worse than the champion: {join_descriptions(shown, len(worse))}"
    policy = next(check for check in checks if check.group == "policy")
    return f"{_describe_policy(policy)}, and not worse in any of {len(compared)} comparisons"


def _describe_floor(check: Check) -> str:
    sign = ">" if check.test == "maximum" else "<"
    values = f"{check.challenger:.3f} {sign} {check.limit}"
    if not FLOORS[check.group]:
        return f"recall {values} in {check.subject} ({check.rows:,} rows)"
    return f"{check.subject} {values} on {FLOORS[check.group]}"


def _describe_comparison(check: Check) -> str:
    values = f"{check.challenger:.4f} against {check.champion:.4f}"
    evidence = f"{check.rows:,} rows, {_format_p_value(check)}"
    if check.group == SLICE:
        return f"recall {values} in {check.subject} ({evidence})"
    return f"{check.subject} {values} on {PLACES[check.group]} ({evidence})"


def _describe_policy(check: Check) -> str:
    passed = check.outcome is Outcome.PASSED
    if check.test == APPROVAL:
        return "not significantly better than the champion"
    if check.p_value is None:
        nights = f"(nights up to {check.challenger:.0f}, champion {check.champion:.0f})"
        return f"trained on {'' if passed else 'no '}newer data than the champion {nights}"
    metric, _, place = check.subject.partition(" on ")
    values = f"{metric} {check.challenger:.4f} against {check.champion:.4f} on {place}"
    evidence = f"({check.rows:,} rows, {_format_p_value(check)})"
    if passed:
        return f"better than the champion: {values} {evidence}"
    return f"not significantly better than the champion: at best {values} {evidence}"


def _get_p_value(check: Check) -> float:
    return 1.0 if check.p_value is None else check.p_value


def _format_p_value(check: Check) -> str:
    p_value = _get_p_value(check)
    return f"p < {SMALLEST_P_VALUE}" if p_value < SMALLEST_P_VALUE else f"p = {p_value:.2g}"
