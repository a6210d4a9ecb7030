"""What a window's comparison came to: `verdict.json`, the contract for machines."""

from datetime import datetime
from enum import StrEnum

from skyclass.monitoring.windows import Accounting
from skyclass.registry.manifest import Document
from skyclass.survey.features import Mode


class Verdict(StrEnum):
    """The five things that can be said about a window."""

    NO_DRIFT = "no_drift"
    DRIFT = "drift"
    INSUFFICIENT_DATA = "insufficient_data"
    DATA_QUALITY = "data_quality"
    ERROR = "error"


class Comparison(Document):
    """One column of a window against the same column of the reference.

    Attributes:
        method: `ks` (Kolmogorov-Smirnov, numbers) or `tvd` (total variation distance, classes).
        score: The distance, from 0 (alike) to 1 (apart).
        p_value: How likely a distance like this is without drift.
        threshold: The distance from which on the column has drifted, if the p-value agrees.
        drifted: Whether it has.
    """

    method: str
    score: float
    p_value: float
    threshold: float
    drifted: bool


class Policy(Document):
    """The constants of the rule that gave a verdict; `monitoring.policy` says what they mean."""

    ks_distance: float
    total_variation: float
    significance: float
    min_rows: int
    max_unfit_share: float
    max_rows: int


class ClassShares(Document):
    """Share of each predicted class among the compared rows; empty where there are none."""

    reference: dict[str, float]
    window: dict[str, float]


class DriftVerdict(Document):
    """The verdict on one window. The same window gives the same bytes.

    Attributes:
        verdict: In one word.
        reason: In words that a person can act on.
        mode: The mode of the release.
        release: The release whose answers were judged.
        window_start: The window's start (UTC), included.
        window_end: The window's end (UTC), excluded.
        accounting: What became of every row in the window.
        window_rows: Rows of the window that were compared, after sampling.
        reference_rows: Rows of the reference that they were compared with.
        columns: Comparison per measured or derived column; empty when there was too little to
            compare, and then the report has no charts and its snapshot is an empty object.
        predictions: Comparison of the predicted classes.
        class_shares: What was predicted, on both sides.
        training_rows: Rows that the release was trained on.
        synthetic_rows: How many of them were simulated.
        policy: The rule's constants.
        seed: What the compared rows were drawn with.
    """

    verdict: Verdict
    reason: str
    mode: Mode
    release: str
    window_start: datetime
    window_end: datetime
    accounting: Accounting
    window_rows: int
    reference_rows: int
    columns: dict[str, Comparison]
    predictions: Comparison | None
    class_shares: ClassShares
    training_rows: int
    synthetic_rows: int
    policy: Policy
    seed: int
