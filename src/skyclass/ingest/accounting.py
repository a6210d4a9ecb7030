"""The outcome of every row that an ingest read."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Accounting:
    """The outcome of every row that an ingest read.

    Attributes:
        source: Name of the source.
        version: Version of the table after the ingest.
        rows_in: Rows read.
        inserted: Rows with a new key.
        updated: Rows that changed a known observation, such as a late label.
        duplicates: Rows without a change.
        rejected: Invalid rows, written to the quarantine with their reasons.
        not_measured: Values that were a sentinel for "not measured" and became null.
        coded_classes: Rows whose class was a code, decoded with the source's option `classes`.
        resumed_after: Watermark of the source before the ingest.
        reasons: Number of rejected rows by reason.
        examples: Descriptions of some rejected rows by reason.
        discarded: Number of invalid values of optional inputs that became null, by reason.
    """

    source: str
    version: int
    rows_in: int = 0
    inserted: int = 0
    updated: int = 0
    duplicates: int = 0
    rejected: int = 0
    not_measured: int = 0
    coded_classes: int = 0
    resumed_after: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    examples: dict[str, tuple[str, ...]] = field(default_factory=dict)
    discarded: dict[str, int] = field(default_factory=dict)

    @property
    def is_balanced(self) -> bool:
        """Whether the counts of all outcomes add up to the rows read."""
        return self.rows_in == self.inserted + self.updated + self.duplicates + self.rejected

    def add(self, part: "Accounting") -> "Accounting":
        """Return the outcome of these rows and of the next ones of the same source."""
        reasons = Counter(self.reasons) + Counter(part.reasons)
        return Accounting(
            source=self.source,
            version=part.version,
            rows_in=self.rows_in + part.rows_in,
            inserted=self.inserted + part.inserted,
            updated=self.updated + part.updated,
            duplicates=self.duplicates + part.duplicates,
            rejected=self.rejected + part.rejected,
            not_measured=self.not_measured + part.not_measured,
            coded_classes=self.coded_classes + part.coded_classes,
            resumed_after=self.resumed_after,
            reasons=dict(reasons.most_common()),
            examples={**part.examples, **self.examples},
            discarded=dict(Counter(self.discarded) + Counter(part.discarded)),
        )
