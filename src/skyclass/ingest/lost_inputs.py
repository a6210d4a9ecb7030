"""Expectation: the optional inputs that the last release uses do not disappear."""

from collections.abc import Iterator

import pandas as pd

from skyclass.ingest.violations import MAX_EXAMPLES, Violation, describe_rows
from skyclass.survey.features import GROUP_INPUTS, InputGroup

_MIN_SHARE = 0.05
"""Inputs that fewer of the earlier rows have are not compared."""


def check_lost_inputs(
    rows: pd.DataFrame, earlier: pd.DataFrame, limit: float
) -> Iterator[Violation]:
    """Compare the shares of rows that have optional inputs with those of earlier rows.

    A source that no longer has them is valid row by row, but makes every later release worse.

    Args:
        rows: Rows to check.
        earlier: Rows of the nights that the last release was trained on. Only its columns are
            compared.
        limit: Largest decrease of a share, relative to the earlier one, 0 to 1.

    Yields:
        A violation for each group that has lost too much, for the column that has lost most.
    """
    for group, names in GROUP_INPUTS.items():
        if group is InputGroup.EXTINCTION:  # the dust map replaces it
            continue
        shares = {
            name: (earlier[name].notna().mean(), rows[name].notna().mean())
            for name in names
            if name in earlier.columns and name in rows.columns
        }
        lost = {
            name: now / before for name, (before, now) in shares.items() if before >= _MIN_SHARE
        }
        if lost and min(lost.values()) < 1 - limit:
            name = min(lost, key=lost.__getitem__)
            before, now = shares[name]
            examples = rows[rows[name].isna()].head(MAX_EXAMPLES).to_dict("records")
            yield Violation(
                name,
                f"measured, {before:.1%} when the last release was trained,",
                float(now),
                f"at most {limit:.1%} of that may be lost",
                describe_rows(examples, name),
            )
