"""What is expected of rows before they are trained on; the limits are in `expectations.toml`."""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
import numpy.typing as npt
import pandas as pd

from skyclass.errors import ValidationError
from skyclass.ingest.validation import validate_rows
from skyclass.survey.observation import CLASSES, KEY, MEASUREMENTS, Era, find_eras

EXAMPLES = 3
"""How many rows are shown for a rule that is broken."""

_FEWEST_ROWS = 100
"""Fewer rows than this, and a share says nothing."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Expectations:
    """The limits, as shares of the rows; see `expectations.toml` for what they mean."""

    rejected: float
    unfit: float
    copied: float
    unlabelled: float
    not_measured: dict[str, float]
    classes: dict[str, tuple[float, float]]
    eras_back: float


@dataclass(frozen=True)
class Violation:
    """A rule that is broken.

    Attributes:
        column: The column that it is about.
        rule: What is wrong, in words.
        share: Of the rows.
        limit: What was expected, in words.
        examples: Some of the rows, in words.
    """

    column: str
    rule: str
    share: float
    limit: str
    examples: tuple[str, ...]

    def __str__(self) -> str:
        shown = f", for example {'; '.join(self.examples)}" if self.examples else ""
        return f"{self.column}: {self.rule} in {self.share:.1%} of the rows ({self.limit}){shown}"


def load_expectations() -> Expectations:
    """Read the limits."""
    text = resources.files("skyclass.ingest").joinpath("expectations.toml").read_text()
    limits = tomllib.loads(text)
    return Expectations(
        rejected=limits["ingest"]["rejected"],
        **limits["rows"],
        not_measured=limits["not_measured"],
        classes={name: (low, high) for name, (low, high) in limits["classes"].items()},
        eras_back=limits["eras"]["back"],
    )


def expect_rows(
    rows: pd.DataFrame,
    inputs: Sequence[str],
    last_nights: pd.Series | None,
    limits: Expectations,
) -> None:
    """Judge the rows that a model would learn from.

    Args:
        rows: Columns `ROW_COLUMNS`.
        inputs: The measurements that the model would see.
        last_nights: The nights (MJD) of the rows behind the last release, if there is one.
        limits: What is expected.

    Raises:
        ValidationError: Rules are broken; the message names each.
    """
    found = [
        *_unfit(rows, limits),
        *_not_measured(rows, inputs, limits),
        *_classes(rows, limits),
        *_copied(rows, limits),
        *(_eras(rows, last_nights, limits) if last_nights is not None else ()),
    ]
    if found:
        raise ValidationError(
            f"validation failed: {' | '.join(map(str, found))}: correct the source, or the limits "
            "in expectations.toml"
        )


def expect_few_rejected(
    rows_in: int, reasons: dict[str, int], examples: dict[str, tuple[str, ...]], limit: float
) -> None:
    """Judge how many rows of a source were unfit.

    Args:
        rows_in: How many rows were read.
        reasons: How many of them were rejected for each reason, like `u: outside 5 to 35`.
        examples: Some of them.
        limit: The share that is accepted.

    Raises:
        ValidationError: There are too many; the message names the most frequent reason.
    """
    rejected = sum(reasons.values())
    if rows_in < _FEWEST_ROWS or rejected <= limit * rows_in:
        return
    reason, rows = max(reasons.items(), key=lambda item: item[1])
    column, rule = split_reason(reason)
    worst = Violation(column, rule, rows / rows_in, f"at most {limit:.1%} unfit", examples[reason])
    raise ValidationError(
        f"validation failed: {rejected:,} of {rows_in:,} rows were rejected, most of them for "
        f"{worst}: the fit rows were taken, correct the source"
    )


def split_reason(reason: str) -> tuple[str, str]:
    """The column and the rule that a reason of rejection begins with."""
    column, found, rule = reason.partition("; ")[0].partition(": ")
    return (column, rule) if found else ("line", reason)


def describe(rows: pd.DataFrame, column: str) -> tuple[str, ...]:
    """The first rows in words, each with its key and the value in question."""
    shown = [*KEY, *([] if column in KEY else [column])]
    return tuple(
        " ".join(f"{name}={value}" for name, value in zip(shown, row, strict=True))
        for row in rows[shown].head(EXAMPLES).itertuples(index=False)
    )


def _unfit(rows: pd.DataFrame, limits: Expectations) -> Iterator[Violation]:
    rejected = validate_rows(rows).rejected
    for reason, found in rejected.groupby("reason", sort=False):
        if len(found) > limits.unfit * len(rows):
            column, rule = split_reason(str(reason))
            yield Violation(
                column,
                rule,
                len(found) / len(rows),
                _at_most(limits.unfit),
                describe(found, column),
            )


def _not_measured(
    rows: pd.DataFrame, inputs: Sequence[str], limits: Expectations
) -> Iterator[Violation]:
    for name in inputs:
        limit = limits.not_measured[name]
        yield from _broken(rows, rows[name].isna().to_numpy(), name, "not measured", limit)


def _classes(rows: pd.DataFrame, limits: Expectations) -> Iterator[Violation]:
    unlabelled = rows["class"].isna().to_numpy()
    yield from _broken(rows, unlabelled, "class", "no label", limits.unlabelled)
    labelled = rows[~unlabelled]
    for name in CLASSES:
        of_class = labelled[labelled["class"] == name]
        share = len(of_class) / max(len(labelled), 1)
        low, high = limits.classes[name]
        if len(labelled) >= _FEWEST_ROWS and not low <= share <= high:
            expected = f"{low:.0%} to {high:.0%} expected"
            yield Violation("class", name, share, expected, describe(of_class, "class"))


def _copied(rows: pd.DataFrame, limits: Expectations) -> Iterator[Violation]:
    same = rows.duplicated(list(MEASUREMENTS)) & rows[list(MEASUREMENTS)].notna().all(axis=1)
    rule = "the same measurements under another key"
    yield from _broken(rows, same.to_numpy(), ", ".join(MEASUREMENTS), rule, limits.copied, "r")


def _eras(rows: pd.DataFrame, last: pd.Series, limits: Expectations) -> Iterator[Violation]:
    """The survey moves on, and training has to follow; but it never goes back."""
    now, before = (
        pd.Series(find_eras(nights)).value_counts(normalize=True).reindex(list(Era), fill_value=0)
        for nights in (rows["mjd"], last)
    )
    back = now.cumsum() - before.cumsum()
    era = str(back.idxmax())
    if len(rows) >= _FEWEST_ROWS and back[era] > limits.eras_back:
        yield Violation(
            "mjd",
            f"era {era} or before, which were {before.cumsum()[era]:.1%} in the last release,",
            float(now.cumsum()[era]),
            f"at most {limits.eras_back:.1%} more",
            describe(rows, "mjd"),  # the oldest come first
        )


def _broken(
    rows: pd.DataFrame, where: Mask, column: str, rule: str, limit: float, shown: str = ""
) -> Iterator[Violation]:
    if len(rows) >= _FEWEST_ROWS and where.mean() > limit:
        yield Violation(
            column,
            rule,
            float(where.mean()),
            _at_most(limit),
            describe(rows[where], shown or column),
        )


def _at_most(limit: float) -> str:
    return f"at most {limit:.1%}" if limit else "none allowed"
