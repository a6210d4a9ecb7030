"""Settings of the predictor, from the environment."""

from pathlib import Path

from pydantic import PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServingSettings(BaseSettings):
    """Limits on requests, hot reload, prediction log and shutdown of the predictor."""

    model_config = SettingsConfigDict(env_prefix="SKYCLASS_SERVING_", extra="ignore", frozen=True)

    max_rows: PositiveInt = 10_000
    """Limit on the rows of a request (413)."""
    max_body_bytes: PositiveInt = 6_000_000
    """Limit on the size of a request body (413); no more than that is read or decompressed."""
    max_nesting: PositiveInt = 16
    """Limit on the levels of lists and objects in a request (413)."""

    expected_release: str | None = None
    """Id of the only release to serve; promotion on a cluster sets it, so that a modified manifest
    is detected. None serves any release."""

    public_key: str | None = None
    """Public key that verifies the signature of releases: a PEM file, or its text, which promotion
    on a cluster sets. None verifies digests only."""

    follow_seconds: PositiveFloat = 5.0
    """Interval at which the predictor polls for a new champion."""

    log: bool = True
    """Whether predictions are logged; drift monitoring needs the log."""
    log_flush_seconds: PositiveFloat = 10.0
    """Longest time between a prediction and its write to the prediction log."""
    log_flush_rows: PositiveInt = 40_000
    """Number of queued rows that triggers a write; smaller writes cost more per row."""
    log_queue_rows: PositiveInt = 100_000
    """Limit on queued rows; further rows are dropped and counted. If each is a request of its own,
    they take up to 140 MB, and 250 MB while they are encoded."""

    log_waiting_file: Path | None = None
    """File with the number of rows that wait for the log, from which the next process counts those
    that were lost when this one was killed. One process at a time may use it. None counts none."""

    drain_seconds: PositiveInt = 10
    """Timeout for requests in flight on SIGTERM, and again for the flush of the prediction log.
    Twice this must be less than the pod's termination grace period (30 s)."""
