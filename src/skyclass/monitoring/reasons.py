"""The reasons of verdicts: one sentence each, with the numbers and the recommended action."""

from collections.abc import Mapping

from skyclass.monitoring.accounting import Accounting
from skyclass.monitoring.verdict import Comparison

_MAX_LISTED_CAUSES = 3


def explain_no_drift(columns: Mapping[str, Comparison]) -> str:
    """Explain the verdict `no_drift`."""
    numbers = {name: each for name, each in columns.items() if each.method == "ks"}
    largest = max(numbers, key=lambda name: numbers[name].score)
    return (
        f"neither the {len(columns)} columns nor the predicted classes drifted (largest KS "
        f"distance: {largest} {numbers[largest].score:.2f}): no action needed"
    )


def explain_drift(columns: Mapping[str, Comparison], predictions: Comparison) -> str:
    """Explain the verdict `drift`."""
    drifted = sorted(
        (name for name, comparison in columns.items() if comparison.drifted),
        key=lambda name: -columns[name].score,
    )
    numbers = [name for name in drifted if columns[name].method == "ks"]
    parts = []
    if numbers:
        scores = ", ".join(f"{name} {columns[name].score:.2f}" for name in numbers)
        total = sum(comparison.method == "ks" for comparison in columns.values())
        parts.append(f"{len(numbers)} of {total} columns (KS distance: {scores})")
    parts += [
        f'the share of rows "{name}" (by {columns[name].score:.2f})'
        for name in drifted
        if name not in numbers
    ]
    if predictions.drifted:
        parts.append(f"the predicted classes (total variation {predictions.score:.2f})")
    return (
        f"{' and '.join(parts)} drifted: check in the report whether the observed objects or the "
        "measurements changed; retraining on new labels corrects only the former"
    )


def explain_insufficient_data(reference_rows: int, accounting: Accounting, min_rows: int) -> str:
    """Explain the verdict `insufficient_data`."""
    if reference_rows < min_rows:
        return (
            f"the reference of the release has {reference_rows:,} valid rows, {min_rows} are "
            "required: train a release on more observations"
        )
    counts = f"{accounting.rows_used:,} valid rows"
    if accounting.rejected:
        counts += f", {accounting.rejected:,} invalid rows"
    if unreadable := accounting.describe_unreadable():
        counts += f", {unreadable}"
    if accounting.other_releases:
        counts += f", {accounting.other_rows:,} rows of other releases"
    return (
        f"the window has {counts}, {min_rows} valid rows are required: evaluate a longer window, "
        "or wait for more requests"
    )


def explain_data_quality(accounting: Accounting) -> str:
    """Explain the verdict `data_quality`."""
    rows = accounting.distinct_rows
    causes = sorted(accounting.reasons.items(), key=lambda item: -item[1])
    listed = ", ".join(f"{cause} in {count:,}" for cause, count in causes[:_MAX_LISTED_CAUSES])
    more = ", and others" if len(causes) > _MAX_LISTED_CAUSES else ""
    return (
        f"{accounting.rejected:,} of {rows:,} rows ({accounting.rejected / rows:.0%}) are invalid "
        f"({listed}{more}): check what the clients send; retraining does not help"
    )
