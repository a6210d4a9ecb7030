"""The reasons of verdicts, in words that a person can act on."""

from collections.abc import Mapping

from skyclass.monitoring.verdict import Comparison
from skyclass.monitoring.windows import Accounting

_LISTED_CAUSES = 3


def no_drift(columns: Mapping[str, Comparison]) -> str:
    """Nothing has drifted."""
    farthest = max(columns, key=lambda name: columns[name].score)
    return (
        f"neither the {len(columns)} columns nor the predicted classes have drifted "
        f"(farthest: {farthest}, KS distance {columns[farthest].score:.2f}): nothing to do"
    )


def drift(columns: Mapping[str, Comparison], predictions: Comparison) -> str:
    """Columns, the predicted classes or both have drifted."""
    drifted = sorted(
        (name for name, each in columns.items() if each.drifted),
        key=lambda name: -columns[name].score,
    )
    parts = []
    if drifted:
        scores = ", ".join(f"{name} {columns[name].score:.2f}" for name in drifted)
        parts.append(f"{len(drifted)} of {len(columns)} columns (KS distance: {scores})")
    if predictions.drifted:
        parts.append(f"the predicted classes (total variation {predictions.score:.2f})")
    return (
        f"{' and '.join(parts)} have drifted: see in the report whether the sky or the "
        "measurements changed; new labels and a training run mend the first only"
    )


def insufficient_data(reference_rows: int, accounting: Accounting, needed: int) -> str:
    """One side has too few rows."""
    if reference_rows < needed:
        return (
            f"the release's reference has {reference_rows:,} rows where {needed} are needed: "
            "train a release on more observations"
        )
    lost = f", {accounting.rejected:,} unfit ones" if accounting.rejected else ""
    if accounting.unreadable_files:
        lost += f", {accounting.unreadable_files:,} unreadable log files"
    return (
        f"{accounting.rows_used:,} usable rows{lost}, where {needed} usable ones are needed: "
        "judge a longer window, or wait for more requests"
    )


def data_quality(accounting: Accounting) -> str:
    """Too many of the rows are unfit."""
    distinct = accounting.rows_used + accounting.rejected
    causes = sorted(accounting.reasons.items(), key=lambda item: -item[1])
    listed = ", ".join(f"{cause} in {count:,}" for cause, count in causes[:_LISTED_CAUSES])
    more = " and others" if len(causes) > _LISTED_CAUSES else ""
    return (
        f"{accounting.rejected:,} of {distinct:,} rows ({accounting.rejected / distinct:.0%}) are "
        f"unfit ({listed}{more}): find out what the callers send; training again does not help"
    )
