"""Input and output of the retraining policy."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from skyclass.monitoring.accuracy_job import WindowAccuracy
from skyclass.monitoring.decisions import Action, Cause, Decision
from skyclass.monitoring.verdict import DriftVerdict
from skyclass.registry.label_sets import LabelSets
from skyclass.registry.manifest import Evaluation


@dataclass(frozen=True)
class Limits:
    """Limits on training runs and rollbacks.

    Attributes:
        cooldown: Minimum time between two.
        per_day: Maximum number in 24 hours.
    """

    cooldown: timedelta = timedelta(hours=24)
    per_day: int = 2


@dataclass(frozen=True)
class AccuracyRule:
    """When measured accuracy starts a run.

    Attributes:
        margin: Share of rows by which accuracy must have fallen below the hold-out of the release.
            It allows for the difference between rows of the same nights and rows of new ones.
        min_rows: Minimum number of labelled rows. With 1,000 and without a fall, one decision in
            3,000 starts a run at an accuracy of 80 %, one in 8,000 at 87 %, and fewer than one in a
            million at 97 % (simulated with hold-outs of 1,000 rows).
    """

    margin: float = 0.02
    min_rows: int = 1_000


@dataclass(frozen=True)
class RetrainingContext:
    """Input of the retraining policy.

    Attributes:
        now: The current time.
        champion: Id of the champion.
        parent: The release that the champion replaced; None for the first champion and for one
            that was promoted again.
        trained_on: Version of the observations table the champion was trained on.
        table_version: Current version of that table; None without a table.
        verdicts: Verdicts on the newest windows, oldest first; at least one.
        accuracies: Accuracy of these windows.
        decisions: Earlier decisions, oldest first.
        limits: Limits on training runs.
        waiting: Id of the release that waits for an approval, if one does.
        holdout: Metrics of the champion on its own random hold-out, if known.
        inputs_worth: Accuracy that the champion loses on its hold-out without its optional inputs,
            as a share; requests may lack them.
        accuracy_rule: When measured accuracy starts a run.
        label_sets: Label sets of the champion, if it has them.
    """

    now: datetime
    champion: str
    parent: str | None
    trained_on: int
    table_version: int | None
    verdicts: Sequence[DriftVerdict]
    accuracies: Sequence[WindowAccuracy] = ()
    decisions: Sequence[Decision] = ()
    limits: Limits = field(default_factory=Limits)
    waiting: str | None = None
    holdout: Evaluation | None = None
    inputs_worth: float = 0.0
    accuracy_rule: AccuracyRule = field(default_factory=AccuracyRule)
    label_sets: LabelSets | None = None


@dataclass(frozen=True)
class Choice:
    """What to do, by which rule, and why."""

    action: Action
    cause: Cause
    reason: str
