"""How long stored data are kept."""

from typing import Annotated

from pydantic import AfterValidator, NonNegativeInt, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

from skyclass.monitoring.accuracy_job import MAX_LABEL_DELAY

MIN_DAYS = MAX_LABEL_DELAY.days + 2
"""Minimum retention of the log and of reports. Labels are joined to windows that ended up to
`MAX_LABEL_DELAY` before the newest one; a window has a day, and the newest may be a day old."""


def _check_days(days: int) -> int:
    if 0 < days < MIN_DAYS:
        raise ValueError(
            f"{days} days are too few, because labels are joined to predictions of the last "
            f"{MIN_DAYS} days: expected 0, which keeps all, or at least {MIN_DAYS}"
        )
    return days


_MonitoredDays = Annotated[NonNegativeInt, AfterValidator(_check_days)]


class MaintenanceSettings(BaseSettings):
    """How long stored data are kept, in days; 0 keeps them for ever."""

    model_config = SettingsConfigDict(env_prefix="SKYCLASS_MAINTAIN_", extra="ignore", frozen=True)

    log_days: _MonitoredDays = 0
    """The prediction log."""
    report_days: _MonitoredDays = 0
    """Evidently's reports and the samples of windows. Verdicts, accuracies and decisions are always
    kept: the lineage of releases and the retraining policy read them."""
    rejected_days: NonNegativeInt = 0
    """Rejected rows of sources."""
    version_days: PositiveInt = 7
    """Versions of the Delta tables that no release was trained on. It must be longer than any job
    takes that reads or writes a table."""
