"""Retraining decisions: `decision.json`, and the training runs that they start."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from skyclass.monitoring.documents import WindowDocument
from skyclass.registry.documents import Document
from skyclass.storage.formats import Format


class Action(StrEnum):
    """What is done after a window."""

    RETRAIN = "retrain"
    ROLL_BACK = "roll_back"
    WAIT = "wait"


class Cause(StrEnum):
    """The rule of the retraining policy that decided."""

    DRIFT = "drift"
    ACCURACY = "accuracy"
    COVERAGE = "coverage"
    WORSE_THAN_PARENT = "worse_than_parent"
    STEADY = "steady"
    DATA_QUALITY = "data_quality"
    RUN_IN_FLIGHT = "run_in_flight"
    COOLDOWN = "cooldown"
    DAILY_CAP = "daily_cap"
    NOTHING_NEW = "nothing_new"
    APPROVAL_PENDING = "approval_pending"
    ROLLBACK_FAILED = "rollback_failed"


TRIGGERS = (Cause.DRIFT, Cause.ACCURACY, Cause.COVERAGE)
"""Causes of training runs."""


class RunState(StrEnum):
    """State of a training run."""

    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Run(Document):
    """A training run that a decision started.

    Attributes:
        state: The state.
        id: Id of the run; None until it has started.
        link: URL of the run in the KFP UI, if there is one.
        release: The release that it published, once known.
        promoted: Whether that release became champion, once known.
        message: Details, such as an error.
    """

    state: RunState
    id: str | None = None
    link: str | None = None
    release: str | None = None
    promoted: bool | None = None
    message: str = ""

    @property
    def is_active(self) -> bool:
        """Whether the run may still be executing."""
        return self.state in (RunState.STARTING, RunState.RUNNING)


class Decision(WindowDocument):
    """The decision after a window, and its outcome.

    Attributes:
        mode: The mode.
        window_end: End of the newest window (UTC).
        decided_at: Time of the decision (UTC).
        champion: The champion at that time.
        table_version: Version of the observations table at that time; None without a table.
        action: What to do.
        cause: The rule that decided.
        reason: Explanation with the numbers.
        run: The training run, if one was started.
    """

    stored_format = Format("decision after a window", "0.2.0")

    file_name: ClassVar[str] = "decision.json"

    decided_at: datetime
    champion: str
    table_version: int | None
    action: Action
    cause: Cause
    reason: str
    run: Run | None = None

    @property
    def is_final(self) -> bool:
        """Whether the window is decided; otherwise the next job decides it again."""
        has_waited = self.action is Action.WAIT and self.cause is not Cause.ROLLBACK_FAILED
        return self.has_acted or has_waited

    @property
    def has_acted(self) -> bool:
        """Whether a rollback was made or a run was started."""
        return self.action is Action.ROLL_BACK or (
            self.run is not None and (self.run.id is not None or self.run.is_active)
        )
