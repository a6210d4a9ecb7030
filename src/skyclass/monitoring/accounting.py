"""The account of the rows of a window."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True)
class Accounting:
    """Counts of the rows of a window.

    Attributes:
        rows_in: Rows read.
        rows_used: Distinct valid rows.
        duplicates: Rows of later attempts of a request.
        rejected: Distinct invalid rows.
        reasons: Number of rows per cause of invalidity; a row can have several causes.
        files: Log files read. The other counts do not change when files are merged.
        unreadable_files: Log files skipped because they are not Parquet files of the log's schema.
        unreadable_rows: Fewest rows that were skipped with them; how many is known only of files
            that `skyclass maintain` has merged, of hours that are whole in the window.
        other_releases: Rows of each other release in the window, which are left out of all counts.
    """

    rows_in: int = 0
    rows_used: int = 0
    duplicates: int = 0
    rejected: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    files: int = 0
    unreadable_files: int = 0
    unreadable_rows: int = 0
    other_releases: Mapping[str, int] = field(default_factory=dict)

    @property
    def distinct_rows(self) -> int:
        """Rows read, without duplicates."""
        return self.rows_used + self.rejected

    @property
    def other_rows(self) -> int:
        """Rows of other releases, which were left out."""
        return sum(self.other_releases.values())

    @property
    def is_balanced(self) -> bool:
        """Whether every row read is counted exactly once."""
        return self.rows_in == self.rows_used + self.duplicates + self.rejected

    def describe_unreadable(self) -> str:
        """Describe the unreadable files and their rows; empty if all files were read."""
        if not self.unreadable_files:
            return ""
        rows = f" with at least {self.unreadable_rows:,} rows" if self.unreadable_rows else ""
        return f"{self.unreadable_files:,} unreadable log files{rows}"

    def __add__(self, other: Self) -> Self:
        return type(self)(
            rows_in=self.rows_in + other.rows_in,
            rows_used=self.rows_used + other.rows_used,
            duplicates=self.duplicates + other.duplicates,
            rejected=self.rejected + other.rejected,
            reasons=_add(self.reasons, other.reasons),
            files=self.files + other.files,
            unreadable_files=self.unreadable_files + other.unreadable_files,
            unreadable_rows=self.unreadable_rows + other.unreadable_rows,
            other_releases=_add(self.other_releases, other.other_releases),
        )


def _add(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted((Counter(one) + Counter(other)).items()))
