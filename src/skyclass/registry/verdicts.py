"""The verdict of the gate, with the evidence that it is based on."""

from collections.abc import Sequence
from enum import StrEnum

from skyclass.registry.documents import Document

SIGNIFICANCE = 0.01
"""Upper bound of the corrected p-values at which a comparison with the champion is significant.

It applies once to the comparisons on the hold-outs and once to those in the slices: at most 2 % of
challengers with the champion's true metrics are rejected. Models of one algorithm that were fitted
on disjoint halves of real rows do differ a little: 2 to 6 % of such pairs are rejected."""

SMALLEST_P_VALUE = 0.001
"""Smaller p-values are shown as smaller than this one: 2,000 resamples have none."""


class Outcome(StrEnum):
    """Outcome of one check of the gate."""

    PASSED = "passed"
    FAILED = "failed"
    REVIEW = "review"
    """A limit is exceeded that does not reject a release, but makes it wait for an approval."""


class Check(Document):
    """One check of the gate: a row of the table in the report, the manifest and the monitor page.

    Attributes:
        group: Kind of check. `floor`, `temporal_floor`, `slice_floor`: a value and its limit.
            `random_holdout`, `temporal_holdout`, `slice`: a comparison with the champion.
            `policy`: what the promotion policy requires. `traffic`: a limit of the replay.
        subject: What was checked, for example `QSO recall` or `QSO, r 20 to 21, boss`.
        test: The statistical test or the limit, for example `McNemar` or `Wilson lower bound`.
        rows: Rows it is based on.
        challenger: Value of the challenger.
        champion: Value of the champion on the same rows, if there is one.
        limit: The value that the challenger must reach, or must not exceed.
        p_value: P-value of the test, corrected for the number of tests, if there is one.
        only_challenger: Rows that only the challenger classifies correctly, where they are counted.
        only_champion: Rows that only the champion classifies correctly, where they are counted.
        outcome: The outcome.
    """

    group: str
    subject: str
    test: str
    rows: int
    challenger: float | None = None
    champion: float | None = None
    limit: float | None = None
    p_value: float | None = None
    only_challenger: int | None = None
    only_champion: int | None = None
    outcome: Outcome


class GateVerdict(Document):
    """Whether a challenger may become the champion.

    Attributes:
        passed: Whether it may.
        reason: Why.
        champion: Id of the release it was compared with; None if there was no champion.
        champion_macro_f1: Macro-F1 of that release on the same rows.
        challenger_macro_f1: Macro-F1 of the challenger.
        rows: Rows both were evaluated on.
        checks: The evidence, in the order in which it was checked. Empty in releases of 0.1.0.
    """

    passed: bool
    reason: str
    champion: str | None = None
    champion_macro_f1: float | None = None
    challenger_macro_f1: float
    rows: int
    checks: tuple[Check, ...] = ()

    @property
    def reviews(self) -> tuple[Check, ...]:
        """Checks that make the release wait for an approval."""
        return tuple(check for check in self.checks if check.outcome is Outcome.REVIEW)


def join_descriptions(shown: Sequence[str], total: int) -> str:
    """Join descriptions of checks, and count those of `total` that are not shown."""
    others = total - len(shown)
    more = [f"{others} more check{'' if others == 1 else 's'}"] if others else []
    return "; ".join([*shown, *more])
