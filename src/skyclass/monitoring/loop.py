"""Closes the loop: decides after each window, acts, and leaves the decision beside the verdict.

The decision is written before anything is begun and again when it has: a job that is killed in
between leaves a run that may be under way, and no second one is started beside it.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

from skyclass.errors import MonitoringError, SkyclassError
from skyclass.monitoring.drift import read_documents, report_prefix, reports
from skyclass.monitoring.measuring import accuracies
from skyclass.monitoring.retraining import (
    Action,
    Choice,
    Decision,
    Run,
    RunState,
    Situation,
    decide,
)
from skyclass.monitoring.settings import RetrainingSettings
from skyclass.promotion.champions import ChampionStore
from skyclass.promotion.lineage import find_parent
from skyclass.registry.releases import Registry, Release
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables import OBSERVATIONS_URI
from skyclass.tables.observations import ObservationsTable

logger = logging.getLogger(__name__)

DECISION = "decision.json"
ROLLBACK = "rollback-by-monitoring"
"""The run id of the promotions that a rollback leaves."""

_MEMORY = 200
"""So many of the newest windows are looked back on."""


class Trainer(Protocol):
    """Whatever runs the training pipeline."""

    def start(self, parameters: Mapping[str, str]) -> Run:
        """Start a run; one that has ended already says how.

        Raises:
            SkyclassError: It could not be started.
        """

    def look(self, run: Run) -> Run:
        """How a run stands now."""


def close_loop(
    store: ObjectStore,
    champions: ChampionStore,
    mode: Mode,
    trainer: Trainer,
    settings: RetrainingSettings,
    now: datetime,
) -> Decision:
    """Decide what to do after the newest window, and do it.

    A window is decided on once; asked again, the decision that was made is returned, unless it
    was to start a run that could not be started.

    Args:
        store: The object store.
        champions: Who is champion, and how another becomes it.
        mode: Whose champion.
        trainer: Runs the training pipeline.
        settings: How often it may, and on what.
        now: The present time.

    Raises:
        MonitoringError: No window has been judged, or nothing is being served.
        SkyclassError: What was decided could not be done; the decision says so, too.
    """
    verdicts, champion = reports(store, mode, last=_MEMORY), champions.get_champion(mode)
    if not verdicts or champion is None:
        raise MonitoringError(f"no {mode} window has been judged yet: run `skyclass drift` first")
    before = [
        _looked_after(store, champions, trainer, each, now - timedelta(hours=settings.run_hours))
        for each in decisions(store, mode, last=_MEMORY)
    ]
    window_end = verdicts[-1].window_end
    made = next((each for each in before if each.window_end == window_end), None)
    if made and (made.acted or made.action is Action.WAIT):
        return made
    version = ObservationsTable(store.settings).newest_version()
    choice = decide(
        Situation(
            now=now,
            champion=champion.id,
            parent=find_parent(champions.list_promotions(mode), champion.id),
            trained_on=champion.manifest.training_set.version,
            table_version=version,
            verdicts=verdicts,
            accuracies=accuracies(store, mode, last=_MEMORY),
            decisions=before,
            limits=settings.limits,
        )
    )
    decision = Decision(
        mode=mode,
        window_end=window_end,
        decided_at=now,
        champion=champion.id,
        table_version=version,
        action=choice.action,
        cause=choice.cause,
        reason=choice.reason,
        run=Run(state=RunState.STARTING) if choice.action is Action.RETRAIN else None,
    )
    if choice.action is Action.ROLL_BACK:
        _roll_back(store, champions, champion, choice)
    _write(store, decision)
    logger.info("%s: %s", decision.action, decision.reason)
    if choice.action is Action.RETRAIN:
        decision = _train(store, trainer, decision, settings.newest_rows)
    return decision


def decisions(store: ObjectStore, mode: Mode, last: int | None = None) -> list[Decision]:
    """What was decided after the windows of a mode, the oldest first.

    Args:
        store: The object store.
        mode: The mode.
        last: Only for this many of the newest windows; all when not given.
    """
    return read_documents(store, Decision, DECISION, mode, last)


def _train(store: ObjectStore, trainer: Trainer, decision: Decision, newest_rows: int) -> Decision:
    parameters = {
        "mode": str(decision.mode),
        "source_uri": OBSERVATIONS_URI,
        "newest_rows": str(newest_rows),
        "reason": decision.reason,
    }
    try:
        run = trainer.start(parameters)
    except SkyclassError as error:
        failed = Run(state=RunState.FAILED, message=str(error))
        _write(store, decision.model_copy(update={"run": failed}))
        raise
    begun = decision.model_copy(update={"run": run})
    _write(store, begun)
    return begun


def _roll_back(
    store: ObjectStore, champions: ChampionStore, champion: Release, choice: Choice
) -> None:
    parent = find_parent(champions.list_promotions(champion.mode), champion.id)
    assert parent is not None  # decide() chooses a rollback only if there is a parent
    target = Registry(store).read(champion.mode, parent)
    champions.promote(target, f"rolled back: {choice.reason}", ROLLBACK)


def _looked_after(
    store: ObjectStore,
    champions: ChampionStore,
    trainer: Trainer,
    decision: Decision,
    oldest: datetime,
) -> Decision:
    """A decision with its run as it stands now."""
    run = decision.run
    if run is None or not run.in_flight:
        return decision
    found = trainer.look(run) if run.id else run
    if found.in_flight and decision.decided_at < oldest:
        message = "nothing has been heard of it for too long: it was given up"
        found = found.model_copy(update={"state": RunState.FAILED, "message": message})
    if found.state is RunState.SUCCEEDED and found.promoted is None:
        rises = [
            each.to_release
            for each in champions.list_promotions(decision.mode)
            if each.run_id == found.id
        ]
        found = found.model_copy(
            update={"promoted": bool(rises), "release": rises[-1] if rises else None}
        )
    if found == run:
        return decision
    seen = decision.model_copy(update={"run": found})
    _write(store, seen)
    return seen


def _write(store: ObjectStore, decision: Decision) -> None:
    key = report_prefix(decision.mode, decision.window_end) + DECISION
    store.put(store.settings.reports_bucket, key, decision.to_bytes(), "application/json")
