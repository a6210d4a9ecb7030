"""The outcome of a scoring run."""

from dataclasses import dataclass

from skyclass.survey.features import Mode


@dataclass(frozen=True)
class ScoringResult:
    """Number of rows read by a scoring run, and their outcome.

    Attributes:
        source: Address of the input.
        release: Id of the release.
        mode: Mode of the release.
        version: Version of the predictions table after the run.
        rows_in: Rows read; rows that an earlier run scored are not read again.
        inserted: Objects that the release scored for the first time.
        updated: Objects whose measurements or label have changed since they were scored.
        duplicates: Objects that were scored before without a change, or that occur twice.
        incomplete: Rows without a key or without one of the model's inputs.
    """

    source: str
    release: str
    mode: Mode
    version: int = 0
    rows_in: int = 0
    inserted: int = 0
    updated: int = 0
    duplicates: int = 0
    incomplete: int = 0

    @property
    def is_balanced(self) -> bool:
        """Whether the counts of all outcomes add up to the rows read."""
        return self.rows_in == self.inserted + self.updated + self.duplicates + self.incomplete
