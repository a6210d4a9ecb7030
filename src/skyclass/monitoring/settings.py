"""Settings of the retraining alone, from the environment."""

from datetime import timedelta

from pydantic import PositiveFloat, PositiveInt, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from skyclass.errors import MonitoringError
from skyclass.monitoring.retraining import Limits

NEWEST_ROWS = 5_000
"""In the replay of real rows, 5,000 did best in spectroscopic and nearly best in photometric mode:
with fewer a model learns less, with more it is held back by a sky that has gone."""


class RetrainingSettings(BaseSettings):
    """How often training may start, and on what."""

    model_config = SettingsConfigDict(
        env_prefix="SKYCLASS_RETRAINING_", extra="ignore", frozen=True
    )

    cooldown_hours: PositiveFloat = 24.0
    """Time between two runs at least."""
    per_day: PositiveInt = 2
    """Runs in 24 hours at most."""
    newest_rows: PositiveInt = NEWEST_ROWS
    """Train, and compare with the champion, on at most so many rows, the newest nights
    first."""
    run_hours: PositiveFloat = 6.0
    """A run of which nothing has been heard for so long is given up."""

    @property
    def limits(self) -> Limits:
        """How often training may start."""
        return Limits(timedelta(hours=self.cooldown_hours), self.per_day)


def load_retraining_settings() -> RetrainingSettings:
    """Read the settings.

    Raises:
        MonitoringError: A setting is malformed; the message names it.
    """
    try:
        return RetrainingSettings()
    except ValidationError as error:
        first = error.errors()[0]
        name = f"SKYCLASS_RETRAINING_{first['loc'][0]}".upper()
        raise MonitoringError(f"setting {name} is malformed ({first['msg']}): correct it") from None
