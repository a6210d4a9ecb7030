"""Rollbacks by a drift job that is killed meanwhile, on one machine and on a cluster."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from skyclass.monitoring.decisions import Action, Cause, Decision
from skyclass.monitoring.documents import load_documents, save_document
from skyclass.monitoring.loop import close_loop
from skyclass.monitoring.settings import RetrainingSettings
from skyclass.monitoring.verdict import Verdict
from skyclass.promotion.champions import ChampionStore, open_champion_store
from skyclass.registry.releases import Registry, Release
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.faults.history import History
from tests.support.kserve_api import serve_api
from tests.support.kube_api import NAMESPACE
from tests.support.monitoring import END, NoTrainer, make_daily_verdict, promote_worse_release
from tests.support.processes import SIGKILL_EXIT_CODE, KillSwitch, run_in_child
from tests.support.releases import draft, write_files

MODE = Mode.SPECTROSCOPIC
DAY = timedelta(days=1)
NIGHT = timedelta(minutes=15)
"""Time between the end of a window and the decision."""

KILL_POINTS = {
    "before the rollback": 0,
    "before its event": 2,
    "before the decision": 4,
    "after the decision": 5,
}
"""Among the writes of the job: the attempt, the promotion event and the decision."""


@pytest.fixture(params=["", NAMESPACE], ids=["machine", "cluster"])
def champions(
    request: pytest.FixtureRequest,
    store: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[ChampionStore]:
    store.settings = store.settings.model_copy(update={"namespace": request.param})
    with serve_api(tmp_path, monkeypatch):
        yield open_champion_store(store.settings)


@pytest.fixture
def parent(store: ObjectStore, champions: ChampionStore, tmp_path: Path) -> Release:
    release = Registry(store).publish(draft(MODE, run_id="parent"), write_files(tmp_path / "one"))
    champions.promote(release, "for a test", "parent")
    return release


@pytest.fixture
def worse(store: ObjectStore, champions: ChampionStore, parent: Release, tmp_path: Path) -> Release:
    """The champion, which is worse than `parent`."""
    return promote_worse_release(store, champions, parent, tmp_path / "other")


def run_until_killed(kill_point: int, settings: Settings, kubeconfig: str) -> None:
    """Decide in a child process that is killed at a kill point."""
    os.environ["KUBECONFIG"] = kubeconfig
    ObjectStore.put = KillSwitch(kill_point).wrap(ObjectStore.put)
    store = ObjectStore(settings)
    run_job(store, open_champion_store(settings))


def run_job(store: ObjectStore, champions: ChampionStore, days: int = 0) -> Decision:
    """Decide after the window that ended some days after END."""
    now = END + days * DAY + NIGHT
    return close_loop(store, champions, MODE, NoTrainer(), RetrainingSettings(), now)


def list_rollbacks(store: ObjectStore, champions: ChampionStore, worse: Release) -> list[str]:
    """Return the rollbacks that were decided, and those that were made."""
    promotions = champions.list_promotions(MODE)
    return [
        *(
            f"decision {each.window_end}"
            for each in load_documents(store, Decision, MODE)
            if each.action is Action.ROLL_BACK
        ),
        *(f"promotion {each.to_release}" for each in promotions if each.from_release == worse.id),
    ]


@pytest.mark.fault("drift-killed")
@pytest.mark.parametrize("next_window", [False, True], ids=["same window", "next window"])
@pytest.mark.parametrize("kill_point", KILL_POINTS.values(), ids=KILL_POINTS)
def test_killed_rollback_is_made_and_recorded_once(
    kill_point: int,
    next_window: bool,
    store: ObjectStore,
    champions: ChampionStore,
    parent: Release,
    worse: Release,
    history: History,
) -> None:
    kubeconfig = os.environ["KUBECONFIG"]
    assert run_in_child(run_until_killed, kill_point, store.settings, kubeconfig) == (
        SIGKILL_EXIT_CODE
    )
    history.fire("the drift job ended with SIGKILL")
    served = champions.get_champion(MODE)
    assert served is not None
    if next_window:
        save_document(store, make_daily_verdict(Verdict.NO_DRIFT, served.id, END + DAY))
    with history.recovery():
        run_job(store, champions, days=int(next_window))
    is_decided_later = next_window and served == worse
    decided = END + DAY * is_decided_later
    history.acknowledge(f"decision {decided}", f"promotion {parent.id}")
    assert champions.get_champion(MODE) == parent
    run_job(store, champions, days=int(next_window))
    history.find(list_rollbacks(store, champions, worse))
    (rollback,) = (
        each for each in load_documents(store, Decision, MODE) if each.window_end == decided
    )
    assert rollback.cause is Cause.WORSE_THAN_PARENT
    assert rollback.reason.endswith("by 8.4% on 900 labelled rows")
    assert champions.list_promotions(MODE)[-1].reason == f"rolled back: {rollback.reason}"
