"""Settings of the predictor alone, from the environment."""

from pathlib import Path

from pydantic import PositiveFloat, PositiveInt, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from skyclass.errors import ServingError


class ServingSettings(BaseSettings):
    """How much the predictor takes on, and how often its background threads act."""

    model_config = SettingsConfigDict(env_prefix="SKYCLASS_SERVING_", extra="ignore", frozen=True)

    max_rows: PositiveInt = 10_000
    """Objects in one request; more are refused with 413."""
    max_body_bytes: PositiveInt = 6_000_000
    """Size of a request's body; more is refused with 413, without reading on."""
    max_nesting: PositiveInt = 16
    """How deep lists and objects may lie in each other; more is refused with 413."""

    expected_release: str | None = None
    """Id of the only release that may be served; promotion on a cluster sets it, so that a changed
    manifest is refused. Any, when not given."""

    public_key: Path | None = None
    """PEM file with the public half of the key that releases have to be signed with. Without it,
    their digests alone are verified."""

    follow_seconds: PositiveFloat = 5.0
    """How often a server that follows the champion looks for a new one."""

    log: bool = True
    """Whether answers are kept in the prediction log; without it nothing watches for drift."""
    log_flush_seconds: PositiveFloat = 10.0
    """How long an answered row waits at most before it is written to the prediction log."""
    log_flush_rows: PositiveInt = 20_000
    """So many waiting rows are written at once: with fewer, each costs more."""
    log_queue_rows: PositiveInt = 50_000
    """So many rows wait at most (about 35 MB); what comes on top is dropped and counted."""

    drain_seconds: PositiveInt = 10
    """How long requests in flight may take to end, and then the log to be written, on SIGTERM.
    Twice this must be less than the pod's termination grace period (30 s)."""


def load_serving_settings() -> ServingSettings:
    """Read the predictor's settings.

    Raises:
        ServingError: A setting is malformed; the message names it.
    """
    try:
        return ServingSettings()
    except ValidationError as error:
        first = error.errors()[0]
        name = f"SKYCLASS_SERVING_{first['loc'][0]}".upper()
        raise ServingError(f"setting {name} is malformed ({first['msg']}): correct it") from None
