"""Whether to train again, roll back or wait: one pure function of what has been recorded.

Drift alone proves nothing about a model, so the rule is slow to act: two of three windows, a pause
between runs, one run at a time, and nothing that has not been trained on yet is no reason to train.
Whether the new release is better is not decided here but by the gate, on the newest labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from scipy.stats import binomtest

from skyclass.monitoring.measuring import Rivalry, WindowAccuracy
from skyclass.monitoring.verdict import DriftVerdict, Verdict
from skyclass.registry.manifest import Document
from skyclass.survey.features import Mode

DRIFTED = 2
"""So many of the last `WINDOWS` windows must have drifted: one in a hundred windows of 500 rows
drifts by chance, two of three in one of three thousand."""
WINDOWS = 3

WORSE = 0.01
"""Share of rows by which a release must lag behind its parent to be rolled back."""
MIN_RIVALRY_ROWS = 500
"""Labelled rows that a release and its parent are compared on at least."""
SIGNIFICANCE = 0.01


class Action(StrEnum):
    """What can be done after a window."""

    RETRAIN = "retrain"
    ROLL_BACK = "roll_back"
    WAIT = "wait"


class Cause(StrEnum):
    """Why, in one word."""

    DRIFT = "drift"
    WORSE_THAN_PARENT = "worse_than_parent"
    STEADY = "steady"
    DATA_QUALITY = "data_quality"
    RUN_IN_FLIGHT = "run_in_flight"
    COOLDOWN = "cooldown"
    DAILY_CAP = "daily_cap"
    NOTHING_NEW = "nothing_new"


class RunState(StrEnum):
    """How a training run stands."""

    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Run(Document):
    """A training run that a decision started.

    Attributes:
        state: How it stands.
        id: Its id; none before it has started.
        link: Where people see it, if anywhere.
        release: The release that it published, once known.
        promoted: Whether that became champion, once known.
        message: What there is to say about it.
    """

    state: RunState
    id: str | None = None
    link: str | None = None
    release: str | None = None
    promoted: bool | None = None
    message: str = ""

    @property
    def in_flight(self) -> bool:
        """Whether it may still be under way."""
        return self.state in (RunState.STARTING, RunState.RUNNING)


class Decision(Document):
    """What was decided after a window, and what came of it.

    Attributes:
        mode: The mode.
        window_end: End of the newest window (UTC).
        decided_at: When (UTC).
        champion: The champion at that time.
        table_version: Version of the observations table at that time, if there was one.
        action: What to do.
        cause: Why, in one word.
        reason: Why, in words.
        run: The training run, when there is one.
    """

    mode: Mode
    window_end: datetime
    decided_at: datetime
    champion: str
    table_version: int | None
    action: Action
    cause: Cause
    reason: str
    run: Run | None = None

    @property
    def acted(self) -> bool:
        """Whether anything was begun: a run, or a rollback."""
        return self.action is Action.ROLL_BACK or (
            self.run is not None and (self.run.id is not None or self.run.in_flight)
        )


@dataclass(frozen=True)
class Limits:
    """How often training may start.

    Attributes:
        cooldown: Time between two runs at least.
        per_day: Runs in 24 hours at most.
    """

    cooldown: timedelta = timedelta(hours=24)
    per_day: int = 2


@dataclass(frozen=True)
class Situation:
    """All that a decision rests on.

    Attributes:
        now: The present time.
        champion: The champion's id.
        parent: The release whose place it took; none for the first, and for one that came back.
        trained_on: Version of the observations table that the champion was trained on.
        table_version: Its version now; none when there is no table.
        verdicts: The newest windows, the oldest first.
        accuracies: What is known of their accuracy.
        decisions: What was decided before, the oldest first.
        limits: How often training may start.
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


@dataclass(frozen=True)
class Choice:
    """What to do, and why."""

    action: Action
    cause: Cause
    reason: str


def decide(now: Situation) -> Choice:
    """Decide what to do after the newest window."""
    return _rollback(now) or _no_cause(now) or _obstacle(now) or _retrain(now)


def rivalry(
    accuracies: Sequence[WindowAccuracy], champion: str, parent: str | None
) -> Rivalry | None:
    """The champion against its parent, over all windows where labels can tell."""
    found = [
        each.rivalry
        for each in accuracies
        if each.release == champion and each.rivalry and each.rivalry.parent == parent
    ]
    if not found or parent is None:
        return None
    return Rivalry(
        parent=parent,
        rows=sum(each.rows for each in found),
        only_release=sum(each.only_release for each in found),
        only_parent=sum(each.only_parent for each in found),
    )


def _rollback(now: Situation) -> Choice | None:
    """A release that came back has no parent, so two releases never take turns."""
    found = rivalry(now.accuracies, now.champion, now.parent)
    if found is None or found.rows < MIN_RIVALRY_ROWS:
        return None
    lag = (found.only_parent - found.only_release) / found.rows
    if lag < WORSE:
        return None
    differing = found.only_parent + found.only_release
    chance = binomtest(found.only_parent, differing, alternative="greater").pvalue  # McNemar's test
    if chance >= SIGNIFICANCE:
        return None
    return Choice(
        Action.ROLL_BACK,
        Cause.WORSE_THAN_PARENT,
        f"release {now.champion[:12]} is right less often than its parent {found.parent[:12]} "
        f"would have been, by {lag:.1%} of {found.rows:,} labelled rows",
    )


def _no_cause(now: Situation) -> Choice | None:
    """Why there is no cause to train again, if there is none."""
    newest = now.verdicts[-1]
    if newest.verdict is Verdict.DATA_QUALITY:
        return Choice(
            Action.WAIT,
            Cause.DATA_QUALITY,
            "the newest window has a data quality problem, which no training mends",
        )
    drifted, judged = _drifted(now)
    if drifted < DRIFTED:
        return Choice(
            Action.WAIT,
            Cause.STEADY,
            f"{drifted} of the champion's last {judged} windows drifted, and {DRIFTED} of "
            f"{WINDOWS} must (the newest: {newest.verdict})",
        )
    return None


def _obstacle(now: Situation) -> Choice | None:
    """Why not to train again although there is cause, if there is such a reason."""
    acted = [each for each in now.decisions if each.acted]
    flying = next((each for each in acted if each.run and each.run.in_flight), None)
    if flying:
        return Choice(
            Action.WAIT,
            Cause.RUN_IN_FLIGHT,
            f"drift, but the run that began at {flying.decided_at:%Y-%m-%d %H:%M} has not ended",
        )
    limits = now.limits
    if acted and now.now - acted[-1].decided_at < limits.cooldown:
        until = acted[-1].decided_at + limits.cooldown
        return Choice(
            Action.WAIT,
            Cause.COOLDOWN,
            f"drift, but the last {_named(acted[-1].action)} was at "
            f"{acted[-1].decided_at:%Y-%m-%d %H:%M}: not before {until:%Y-%m-%d %H:%M}",
        )
    today = [each for each in acted if now.now - each.decided_at < timedelta(days=1)]
    if len(today) >= limits.per_day:
        return Choice(
            Action.WAIT,
            Cause.DAILY_CAP,
            f"drift, but {len(today)} runs began within 24 hours, and {limits.per_day} may",
        )
    tried = [each.table_version for each in acted if each.table_version is not None]
    if now.table_version is None or now.table_version <= max([now.trained_on, *tried]):
        return Choice(
            Action.WAIT,
            Cause.NOTHING_NEW,
            "drift, but nothing has been ingested since the last training: bring new labels "
            "(`skyclass ingest URI`)",
        )
    return None


def _retrain(now: Situation) -> Choice:
    drifted, judged = _drifted(now)
    newest = now.verdicts[-1]
    return Choice(
        Action.RETRAIN,
        Cause.DRIFT,
        f"{drifted} of the last {judged} windows drifted (the newest ended "
        f"{newest.window_end:%Y-%m-%d %H:%M} UTC)",
    )


def _drifted(now: Situation) -> tuple[int, int]:
    """How many of the champion's last windows drifted, and how many there are."""
    own = [each for each in now.verdicts if each.release == now.champion][-WINDOWS:]
    return sum(each.verdict is Verdict.DRIFT for each in own), len(own)


def _named(action: Action) -> str:
    return "rollback" if action is Action.ROLL_BACK else "run"
