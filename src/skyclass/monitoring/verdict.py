"""The verdict on a window: `verdict.json`, the machine-readable result of the drift job."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from skyclass.monitoring.accounting import Accounting
from skyclass.monitoring.documents import WindowDocument
from skyclass.registry.documents import Document
from skyclass.storage.formats import Format


class Verdict(StrEnum):
    """Outcome of the evaluation of a window."""

    NO_DRIFT = "no_drift"
    DRIFT = "drift"
    INSUFFICIENT_DATA = "insufficient_data"
    DATA_QUALITY = "data_quality"
    ERROR = "error"


class Comparison(Document):
    """Comparison of one column of a window with the reference.

    Attributes:
        method: `ks` (Kolmogorov-Smirnov distance, numbers) or `tvd` (total variation distance,
            classes, and whether a row is out of the domain).
        score: The distance, from 0 (same distribution) to 1 (disjoint).
        p_value: Probability of such a distance without drift.
        threshold: Distance at which the column drifts, if the p-value is significant.
        drifted: Whether the column drifted.
    """

    method: str
    score: float
    p_value: float
    threshold: float
    drifted: bool


class Policy(Document):
    """Constants of the drift policy that produced a verdict; see `monitoring.drift_policy`."""

    ks_distance: float
    total_variation: float
    significance: float
    min_rows: int
    max_unfit_share: float
    max_rows: int


class ClassShares(Document):
    """Share of each predicted class in the reference and in the window; empty without rows."""

    reference: dict[str, float]
    window: dict[str, float]


class DriftVerdict(WindowDocument):
    """The verdict on one window; the same window gives the same bytes.

    Attributes:
        verdict: The outcome.
        reason: Explanation and recommended action, one sentence.
        mode: The mode of the release.
        release: The release whose predictions were evaluated.
        window_start: Start of the window (UTC), included.
        window_end: End of the window (UTC), excluded.
        accounting: Counts of used, duplicate and invalid rows.
        window_rows: Rows of the window that were compared, after sampling.
        reference_rows: Rows of the reference that were compared, after sampling.
        columns: Comparison of each measured or derived column, and of the share of rows that are
            out of the domain. Empty if there were too few rows to
            compare; the report then has no charts, and its snapshot is an empty object.
        predictions: Comparison of the predicted classes.
        class_shares: Shares of the predicted classes.
        out_of_domain: Share of the rows that are out of the domain of the release; None if it
            has none.
        training_rows: Rows the release was trained on.
        synthetic_rows: Number of them that were simulated.
        policy: Constants of the drift policy.
        seed: Seed of the samples.
    """

    stored_format = Format("drift verdict", "0.2.0")

    file_name: ClassVar[str] = "verdict.json"

    verdict: Verdict
    reason: str
    release: str
    window_start: datetime
    accounting: Accounting
    window_rows: int
    reference_rows: int
    columns: dict[str, Comparison]
    predictions: Comparison | None
    class_shares: ClassShares
    out_of_domain: float | None = None
    training_rows: int
    synthetic_rows: int
    policy: Policy
    seed: int
