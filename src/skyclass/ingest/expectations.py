"""Expectations on the rows of a training set."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from skyclass.errors import ValidationError
from skyclass.ingest.limits import HOW_TO_CHANGE, Expectations
from skyclass.ingest.lost_inputs import check_lost_inputs
from skyclass.ingest.validation import validate_rows
from skyclass.ingest.violations import MAX_EXAMPLES, Violation, describe_rows, split_reason
from skyclass.survey.observation import (
    CLASSES,
    MEASUREMENTS,
    ROW_COLUMNS,
    Era,
    find_eras,
)

_MIN_ROWS = 100
"""Shares of fewer rows than this are not evaluated."""

Mask = npt.NDArray[np.bool_]


def expect_rows(
    rows: pd.DataFrame,
    inputs: Sequence[str],
    earlier: pd.DataFrame | None,
    limits: Expectations,
) -> None:
    """Check the candidate rows of a training set.

    Args:
        rows: Columns `ROW_COLUMNS` and `OPTIONAL_COLUMNS`.
        inputs: The model's inputs.
        earlier: The rows that would have been checked when the previous release was trained, if
            known: the column `mjd` and the optional inputs that the release uses.
        limits: The expectations.

    Raises:
        ValidationError: At least one expectation is not met; the message names each.
    """
    violations = [
        *_check_validity(rows, limits),
        *_check_completeness(rows, inputs, limits),
        *_check_classes(rows, limits),
        *_check_redshifts(rows, limits),
        *_check_copies(rows, limits),
    ]
    if earlier is not None and len(rows) >= _MIN_ROWS:
        violations += _check_eras(rows, earlier["mjd"], limits)
        violations += check_lost_inputs(rows, earlier, limits.lost_inputs)
    if violations:
        raise ValidationError(
            f"validation failed: {' | '.join(map(str, violations))}: correct the source, or "
            f"change the limits ({HOW_TO_CHANGE})"
        )


def expect_few_rejected(
    rows_in: int, reasons: dict[str, int], examples: dict[str, tuple[str, ...]], limit: float
) -> None:
    """Check the share of rejected rows of a source.

    Args:
        rows_in: Number of rows read.
        reasons: Number of rejected rows by reason, such as `u: outside 5 to 35`.
        examples: Descriptions of some rejected rows by reason.
        limit: Largest accepted share, 0 to 1.

    Raises:
        ValidationError: The share exceeds the limit; the message names the most frequent reason.
    """
    rejected = sum(reasons.values())
    if rows_in < _MIN_ROWS or rejected <= limit * rows_in:
        return
    reason, rows = max(reasons.items(), key=lambda item: item[1])
    column, rule = split_reason(reason)
    worst = Violation(
        column, rule, rows / rows_in, f"at most {limit:.1%} rejected", examples[reason]
    )
    raise ValidationError(
        f"validation failed: {rejected:,} of {rows_in:,} rows were rejected, most of them for "
        f"{worst}: the valid rows were ingested; correct the source, or change the limits "
        f"({HOW_TO_CHANGE})"
    )


def _describe_first(rows: pd.DataFrame, column: str) -> tuple[str, ...]:
    return describe_rows(rows.head(MAX_EXAMPLES).to_dict("records"), column)


def _check_validity(rows: pd.DataFrame, limits: Expectations) -> Iterator[Violation]:
    table = pa.Table.from_pandas(rows[list(ROW_COLUMNS)], preserve_index=False)
    rejected = validate_rows(table).rejected.to_pandas()
    for reason, found in rejected.groupby("reason", sort=False):
        share = len(found) / len(rows)
        if share > limits.invalid:
            column, rule = split_reason(str(reason))
            limit = _at_most(limits.invalid)
            yield Violation(column, rule, share, limit, _describe_first(found, column))


def _check_completeness(
    rows: pd.DataFrame, inputs: Sequence[str], limits: Expectations
) -> Iterator[Violation]:
    for name in inputs:
        limit = limits.not_measured[name]
        yield from _check_share(rows, rows[name].isna().to_numpy(), name, "not measured", limit)


def _check_classes(rows: pd.DataFrame, limits: Expectations) -> Iterator[Violation]:
    unlabelled = rows["class"].isna().to_numpy()
    yield from _check_share(rows, unlabelled, "class", "no label", limits.unlabelled)
    labelled = rows[~unlabelled]
    for name in CLASSES:
        of_class = labelled[labelled["class"] == name]
        share = len(of_class) / max(len(labelled), 1)
        low, high = limits.classes[name]
        if len(labelled) >= _MIN_ROWS and not low <= share <= high:
            expected = f"{low:.0%} to {high:.0%} expected"
            yield Violation("class", name, share, expected, _describe_first(of_class, "class"))


def _check_redshifts(rows: pd.DataFrame, limits: Expectations) -> Iterator[Violation]:
    """Relate labels to redshifts: exchanged labels may leave every class a plausible share."""
    for name, (low, high) in limits.redshifts.items():
        of_class = rows[(rows["class"] == name) & rows["redshift"].notna()]
        outside = of_class[~of_class["redshift"].between(low, high)]
        share = len(outside) / max(len(of_class), 1)
        if len(of_class) >= _MIN_ROWS and share > limits.redshift_outside:
            yield Violation(
                "redshift",
                f"outside {low:g} to {high:g}",
                share,
                _at_most(limits.redshift_outside),
                _describe_first(outside, "redshift"),
                of=f"the rows of class {name}",
            )


def _check_copies(rows: pd.DataFrame, limits: Expectations) -> Iterator[Violation]:
    measurements = rows[list(MEASUREMENTS)]
    is_copy = (measurements.duplicated() & measurements.notna().all(axis=1)).to_numpy()
    rule = "the same measurements under another key"
    yield from _check_share(rows, is_copy, ", ".join(MEASUREMENTS), rule, limits.copied, "r")


def _check_eras(
    rows: pd.DataFrame, earlier_nights: pd.Series, limits: Expectations
) -> Iterator[Violation]:
    """Newer eras are accepted, since the survey moves on. A larger share of older ones is not."""
    now, before = (
        pd.Series(find_eras(nights)).value_counts(normalize=True).reindex(list(Era), fill_value=0)
        for nights in (rows["mjd"], earlier_nights)
    )
    increase = now.cumsum() - before.cumsum()
    era = str(increase.idxmax())
    if increase[era] > limits.older_eras:
        yield Violation(
            "mjd",
            f"era {era} or before, {before.cumsum()[era]:.1%} when the last release was trained,",
            float(now.cumsum()[era]),
            f"at most {limits.older_eras:.1%} more",
            _describe_first(rows, "mjd"),  # rows are sorted by night: these are the oldest
        )


def _check_share(
    rows: pd.DataFrame,
    where: Mask,
    column: str,
    rule: str,
    limit: float,
    shown_column: str | None = None,
) -> Iterator[Violation]:
    if len(rows) >= _MIN_ROWS and where.mean() > limit:
        examples = _describe_first(rows[where], shown_column or column)
        yield Violation(column, rule, float(where.mean()), _at_most(limit), examples)


def _at_most(limit: float) -> str:
    return f"at most {limit:.1%}" if limit else "none allowed"
