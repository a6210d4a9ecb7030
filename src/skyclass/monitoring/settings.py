"""Settings of automatic retraining."""

from datetime import timedelta

from pydantic import Field, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

from skyclass.monitoring.retraining_context import AccuracyRule, Limits
from skyclass.training.parameters import PromotionPolicy

NEWEST_ROWS = 5_000
"""Training rows of a retraining. In the replay of real rows, 5,000 was best in spectroscopic mode
and nearly best in photometric mode: fewer rows train a weaker model, more rows are outdated."""


LOOP_PROMOTION = PromotionPolicy.IF_NOT_WORSE
"""Promotion policy of the runs that the loop starts. There is evidence that the champion is
outdated, and on a few hundred hold-out rows a better release is rarely better significantly: see
docs/monitoring.md#benefit-measured."""


class RetrainingSettings(BaseSettings):
    """When retraining may start, on how many rows, and what promotes its release."""

    model_config = SettingsConfigDict(
        env_prefix="SKYCLASS_RETRAINING_", extra="ignore", frozen=True
    )

    cooldown_hours: PositiveFloat = 24.0
    """Minimum time between two runs."""
    per_day: PositiveInt = 2
    """Maximum number of runs in 24 hours."""
    newest_rows: PositiveInt = NEWEST_ROWS
    """Maximum number of rows to train and evaluate on, newest nights first."""
    run_hours: PositiveFloat = 6.0
    """Time after which a run without a final state is recorded as failed."""
    promotion: PromotionPolicy = LOOP_PROMOTION
    """What a release of a run needs to be promoted."""
    accuracy_margin: float = Field(AccuracyRule.margin, ge=0, lt=1)
    """Share of rows by which accuracy must have fallen below the hold-out to start a run."""
    accuracy_rows: PositiveInt = AccuracyRule.min_rows
    """Minimum number of labelled rows to compare with the hold-out."""

    @property
    def limits(self) -> Limits:
        """The limits that the retraining policy checks."""
        return Limits(timedelta(hours=self.cooldown_hours), self.per_day)

    @property
    def accuracy_rule(self) -> AccuracyRule:
        """When measured accuracy starts a run."""
        return AccuracyRule(self.accuracy_margin, self.accuracy_rows)
