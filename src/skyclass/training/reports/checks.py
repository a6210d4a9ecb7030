"""The table of the gate's checks: in the training report, on the monitor page and in Markdown."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from skyclass.registry.verdicts import SIGNIFICANCE, SMALLEST_P_VALUE, Check, Outcome
from skyclass.training.reports.pages import render_page

TITLES: Mapping[str, str] = {
    "floor": "Floors, random hold-out",
    "temporal_floor": "Floors, temporal hold-out",
    "slice_floor": "Floors, recall in slices",
    "random_holdout": "Comparison, random hold-out",
    "temporal_holdout": "Comparison, newest nights",
    "slice": "Comparison, recall in slices",
    "policy": "Promotion policy",
    "traffic": "Logged traffic",
}
"""Titles of the groups of checks, in the order of the table."""

LEGEND = (
    "McNemar a : b rows: only this release, only the champion, classifies them correctly. p is "
    "one-sided and corrected for the number of comparisons; a comparison fails if the value is "
    f"beyond its limit and p < {SIGNIFICANCE}. The policy's p is that of being better."
)

_LARGE = 1_000
_SMALL = 10


class CheckRow(NamedTuple):
    """A check as text.

    Attributes:
        title: Title of its group.
        subject: What was checked.
        test: The test, with the rows that only one of the models classifies correctly.
        rows: Number of rows.
        challenger: Value of the release.
        champion: Value of the champion.
        limit: The limit.
        p_value: The p-value.
        outcome: The outcome.
    """

    title: str
    subject: str
    test: str
    rows: str
    challenger: str
    champion: str
    limit: str
    p_value: str
    outcome: Outcome


class CheckTable(NamedTuple):
    """All checks of a verdict as text.

    Attributes:
        summary: Number of checks by outcome.
        notable: Checks that did not pass.
        groups: All checks, by title of their group.
    """

    summary: str
    notable: list[CheckRow]
    groups: dict[str, list[CheckRow]]


def make_check_table(checks: Sequence[Check]) -> CheckTable:
    """Format checks, and group them in the order of `TITLES`."""
    order = list(TITLES)
    known = [check for check in checks if check.group in TITLES]
    rows = [_make_row(check) for check in sorted(known, key=lambda each: order.index(each.group))]
    groups: dict[str, list[CheckRow]] = {}
    for row in rows:
        groups.setdefault(row.title, []).append(row)
    notable = [row for row in rows if row.outcome is not Outcome.PASSED]
    return CheckTable(_summarise(rows), notable, groups)


def render_checks_html(checks: Sequence[Check]) -> str:
    """Render the table as part of a page: failed checks first, all checks collapsed."""
    return render_page("checks.html.j2", table=make_check_table(checks), legend=LEGEND)


def render_checks_markdown(checks: Sequence[Check]) -> str:
    """Render the table as Markdown: failed checks first."""
    return render_page("checks.md.j2", table=make_check_table(checks), legend=LEGEND)


def _summarise(rows: Sequence[CheckRow]) -> str:
    counts = {
        outcome: sum(row.outcome is outcome for row in rows)
        for outcome in (Outcome.FAILED, Outcome.REVIEW)
    }
    parts = [f"{counts[Outcome.FAILED]} of {len(rows)} checks failed"]
    if counts[Outcome.REVIEW]:
        verb = "needs" if counts[Outcome.REVIEW] == 1 else "need"
        parts.append(f"{counts[Outcome.REVIEW]} {verb} a review")
    return ", ".join(parts)


def _make_row(check: Check) -> CheckRow:
    test = check.test
    if check.only_challenger is not None and check.only_champion is not None:
        test += f", {check.only_challenger:,} : {check.only_champion:,} rows"
    return CheckRow(
        title=TITLES[check.group],
        subject=check.subject,
        test=test,
        rows=f"{check.rows:,}",
        challenger=_format_value(check.challenger),
        champion=_format_value(check.champion),
        limit=_format_value(check.limit),
        p_value=_format_p_value(check.p_value),
        outcome=check.outcome,
    )


def _format_value(value: float | None) -> str:
    if value is None:
        return "-"
    if abs(value) >= _LARGE:
        return f"{value:.0f}"
    return f"{value:.4f}" if abs(value) < _SMALL else f"{value:.4g}"


def _format_p_value(p_value: float | None) -> str:
    if p_value is None:
        return "-"
    return f"<{SMALLEST_P_VALUE}" if p_value < SMALLEST_P_VALUE else f"{p_value:.3f}"
