"""Violations of expectations, and how rows and reasons are described in messages."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from skyclass.survey.observation import KEY

MAX_EXAMPLES = 3
"""Rows that are described for each violation."""


@dataclass(frozen=True)
class Violation:
    """An expectation that the rows do not meet.

    Attributes:
        column: The column concerned.
        rule: Description of the violation.
        share: Share of the rows concerned, 0 to 1.
        limit: Description of the limit.
        examples: Descriptions of some of the rows.
        of: Which rows the share is of.
    """

    column: str
    rule: str
    share: float
    limit: str
    examples: tuple[str, ...]
    of: str = "the rows"

    def __str__(self) -> str:
        shown = f", for example {'; '.join(self.examples)}" if self.examples else ""
        return f"{self.column}: {self.rule} in {self.share:.1%} of {self.of} ({self.limit}){shown}"


def split_reason(reason: str) -> tuple[str, str]:
    """Return the column and the rule of the first part of a reason of rejection.

    Examples:
        >>> split_reason("u: outside 5 to 35; class: not one of GALAXY, QSO, STAR")
        ('u', 'outside 5 to 35')
    """
    column, found, rule = reason.partition("; ")[0].partition(": ")
    return (column, rule) if found else ("line", reason)


def describe_rows(rows: Iterable[Mapping[Any, object]], column: str) -> tuple[str, ...]:
    """Describe rows by their keys and the value of a column."""
    shown = [*KEY, *([] if column in KEY else [column])]
    return tuple(" ".join(f"{name}={row[name]}" for name in shown) for row in rows)
