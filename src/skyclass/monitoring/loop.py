"""The retraining loop: decides after each window, acts, and stores the decision.

A decision is stored before a run is started and again afterwards. A job that is killed in between
leaves a run in state `starting`, so that no second run is started beside it. The next job looks for
the run by the name that the decision gave it.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

from skyclass.errors import MonitoringError, SkyclassError
from skyclass.monitoring.accuracy_job import WindowAccuracy
from skyclass.monitoring.decisions import Action, Decision, Run, RunState
from skyclass.monitoring.documents import load_documents, save_document
from skyclass.monitoring.retraining_context import RetrainingContext
from skyclass.monitoring.retraining_policy import decide
from skyclass.monitoring.rollback import complete_rollbacks, roll_back
from skyclass.monitoring.settings import RetrainingSettings
from skyclass.monitoring.verdict import DriftVerdict
from skyclass.promotion.approvals import ApprovalLog, find_waiting
from skyclass.promotion.champions import ChampionStore
from skyclass.promotion.lineage import find_parent, find_promoted
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables import OBSERVATIONS_URI
from skyclass.tables.observations import ObservationsTable

logger = logging.getLogger(__name__)

_MAX_WINDOWS = 200
"""Number of newest windows that a decision considers."""


class Trainer(Protocol):
    """Starts runs of the training pipeline."""

    def start(self, name: str, parameters: Mapping[str, str]) -> Run:
        """Start a run; a run that finishes at once is returned with its final state.

        Raises:
            SkyclassError: The run could not be started, or it is not known whether it was.
        """

    def find(self, name: str) -> Run | None:
        """Return the run that was started under a name, or None.

        Raises:
            SkyclassError: Runs cannot be listed.
        """

    def refresh(self, run: Run) -> Run:
        """Return the run with its current state."""


def close_loop(
    store: ObjectStore,
    champions: ChampionStore,
    mode: Mode,
    trainer: Trainer,
    settings: RetrainingSettings,
    now: datetime,
) -> Decision:
    """Decide what to do after the newest window that has ended, and do it.

    A window that ends in the future is not decided and is no evidence: until its end, it would
    shadow all others.

    Idempotent: a window is decided once and its stored decision is returned afterwards, unless the
    run could not be started or the rollback failed.

    Args:
        store: The object store.
        champions: Where the champion is looked up and rolled back.
        mode: The mode of the champion.
        trainer: Starts training runs.
        settings: Limits and training rows.
        now: The current time.

    Raises:
        MonitoringError: No window that has ended has a verdict, or there is no champion.
        PromotionError: The rollback failed; the decision records it, too.
        ReleaseError: The parent is damaged, so the rollback failed; the decision records it, too.
        SkyclassError: The run could not be started, which the decision records, too; the states of
            earlier runs are unknown, and no rollback is due; or the object store or the Kubernetes
            API failed.
    """
    verdicts = [
        verdict
        for verdict in load_documents(store, DriftVerdict, mode, last=_MAX_WINDOWS)
        if verdict.window_end <= now
    ]
    champion = champions.get_champion(mode)
    if not verdicts or champion is None:
        raise MonitoringError(
            f"no {mode} window that has ended was evaluated yet: run "
            f"`skyclass drift --mode {mode}` first"
        )
    oldest_active = now - timedelta(hours=settings.run_hours)
    decisions = load_documents(store, Decision, mode, last=_MAX_WINDOWS)
    earlier = complete_rollbacks(store, champions, champion, decisions)
    obstacle: SkyclassError | None = None
    try:
        earlier = [
            _refresh_run(store, champions, trainer, decision, oldest_active) for decision in earlier
        ]
    except SkyclassError as error:
        logger.warning("the states of earlier runs are unknown: %s", error)
        obstacle = error
    window_end = verdicts[-1].window_end
    made = next((decision for decision in earlier if decision.window_end == window_end), None)
    if made and made.is_final:
        return made
    version = ObservationsTable(store.settings).newest_data_version()
    parent = find_parent(champions.list_promotions(mode), champion.id)
    waiting = find_waiting(ApprovalLog(store).list_approvals(mode, champion.id))
    choice = decide(
        RetrainingContext(
            now=now,
            champion=champion.id,
            parent=parent,
            trained_on=champion.manifest.training_set.version,
            table_version=version,
            verdicts=verdicts,
            accuracies=load_documents(store, WindowAccuracy, mode, last=_MAX_WINDOWS, until=now),
            decisions=earlier,
            limits=settings.limits,
            waiting=waiting.release if waiting else None,
            holdout=champion.manifest.random_holdout,
            inputs_worth=champion.manifest.inputs_worth,
            accuracy_rule=settings.accuracy_rule,
            label_sets=champion.manifest.label_sets,
        )
    )
    if obstacle and choice.action is not Action.ROLL_BACK:  # which depends on no run
        raise obstacle
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
    if choice.action is Action.ROLL_BACK and parent is not None:
        roll_back(store, champions, champion, parent, decision)
    else:
        save_document(store, decision)
    logger.info("%s: %s", decision.action, decision.reason)
    if choice.action is Action.RETRAIN:
        decision = _start_run(store, trainer, decision, settings)
    return decision


def _start_run(
    store: ObjectStore, trainer: Trainer, decision: Decision, settings: RetrainingSettings
) -> Decision:
    parameters = {
        "mode": str(decision.mode),
        "source_uri": OBSERVATIONS_URI,
        "newest_rows": str(settings.newest_rows),
        "promotion": str(settings.promotion),
        "reason": decision.reason,
    }
    try:
        run = trainer.start(_make_run_name(decision), parameters)
    except SkyclassError as error:
        failed = Run(state=RunState.FAILED, message=str(error))
        save_document(store, decision.model_copy(update={"run": failed}))
        raise
    started = decision.model_copy(update={"run": run})
    save_document(store, started)
    return started


def _refresh_run(
    store: ObjectStore,
    champions: ChampionStore,
    trainer: Trainer,
    decision: Decision,
    oldest_active: datetime,
) -> Decision:
    """Update and store the state of a decision's run, if it is still active or was not found."""
    run = decision.run
    if run is None:
        return decision
    is_old = decision.decided_at < oldest_active
    if run.id is None and (run.is_active or not is_old):
        run = trainer.find(_make_run_name(decision)) or run
    if run.id and run.is_active:
        run = trainer.refresh(run)
    if run.is_active and is_old:
        message = "timed out: the run reached no final state; see SKYCLASS_RETRAINING_RUN_HOURS"
        run = run.model_copy(update={"state": RunState.FAILED, "message": message})
    if run.state is RunState.SUCCEEDED and run.promoted is None:
        promoted = find_promoted(champions.list_promotions(decision.mode), run.id)
        update = {"promoted": promoted is not None, "release": promoted}
        run = run.model_copy(update=update)
    if run == decision.run:
        return decision
    refreshed = decision.model_copy(update={"run": run})
    save_document(store, refreshed)
    return refreshed


def _make_run_name(decision: Decision) -> str:
    """Return the name of the run of a decision, which no other decision gives."""
    return f"{decision.mode}-{decision.decided_at:%Y%m%dT%H%M%S.%fZ}"
