"""Promotions on a cluster whose API server goes down meanwhile.

`tests/cluster/test_promotion.py` interrupts some of them on a real cluster.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from skyclass.errors import ClusterError, PromotionError
from skyclass.promotion import cluster
from skyclass.promotion.champions import ChampionStore, open_champion_store
from skyclass.promotion.events import PromotionLog
from skyclass.registry.releases import Registry, Release
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.faults.history import History
from tests.support.kserve_api import KServeApi, serve_api
from tests.support.kube_api import NAMESPACE
from tests.support.releases import draft, write_files

MODE = Mode.PHOTOMETRIC
REQUESTS = 6
"""Requests of a promotion: template, InferenceService, update; InferenceService, pods, version."""
UPDATE = 2
"""Number of the update among them."""


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KServeApi]:
    monkeypatch.setattr(cluster, "_BACKOFF_SECONDS", 0.01)
    with serve_api(tmp_path, monkeypatch) as api:
        yield api


@pytest.fixture
def champions(store: ObjectStore, api: KServeApi) -> ChampionStore:
    return open_champion_store(store.settings.model_copy(update={"namespace": NAMESPACE}))


@pytest.fixture
def releases(store: ObjectStore, tmp_path: Path) -> list[Release]:
    registry, files = Registry(store), write_files(tmp_path)
    return [registry.publish(draft(MODE, run_id=run), files) for run in ("one", "two")]


def list_changes(champions: ChampionStore) -> list[str]:
    """Return the ids of the champions, in order."""
    events = champions.list_promotions(MODE)
    return [event.to_release for event in events if event.from_release != event.to_release]


@pytest.mark.fault("api-server-down")
@pytest.mark.parametrize("takes_effect", [False, True], ids=["request lost", "answer lost"])
@pytest.mark.parametrize("request_number", range(REQUESTS))
def test_promotion_without_the_api_server_is_completed_by_the_next_one(
    request_number: int,
    takes_effect: bool,
    champions: ChampionStore,
    api: KServeApi,
    releases: list[Release],
    history: History,
) -> None:
    first, second = releases
    champions.promote(first, "first of its mode", "one")
    assert len(api.requests) == REQUESTS
    history.acknowledge(first.id)

    api.fail_at(request_number, takes_effect)
    history.attempt(second.id)
    with pytest.raises(ClusterError, match=r"the Kubernetes API at .* is unreachable") as error:
        champions.promote(second, "better", "two")
    assert "\n" not in str(error.value)
    history.fire(f"{api.requests[REQUESTS + request_number]} was not answered")
    assert list_changes(champions) == [first.id]

    with history.recovery():
        api.is_down = False
        champions.promote(second, "better", "two")
    history.acknowledge(second.id)
    history.find(list_changes(champions))
    assert champions.get_champion(MODE) == second
    assert champions.get_rollback_target(MODE) == first


def test_repeated_rollback_completes_one_that_was_served_but_not_recorded(
    champions: ChampionStore,
    api: KServeApi,
    releases: list[Release],
    store: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worse = Registry(store).publish(draft(MODE, run_id="worse"), write_files(tmp_path))
    oldest, parent = releases
    for release in (oldest, parent, worse):
        champions.promote(release, "better", release.manifest.run_id)

    def die(*_: object, **__: object) -> None:
        raise SystemExit(137)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(PromotionLog, "append", die)
        champions.promote(champions.get_rollback_target(MODE), "rolled back", "vera")
    assert champions.get_champion(MODE) == parent
    champions.promote(champions.get_rollback_target(MODE), "rolled back", "vera")
    assert champions.get_champion(MODE) == parent
    assert list_changes(champions) == [oldest.id, parent.id, worse.id, parent.id]
    assert champions.list_promotions(MODE)[-1].reason == "rolled back"


@pytest.mark.fault("api-server-down")
def test_champion_that_cannot_be_restored_without_the_api_server_stays_champion(
    champions: ChampionStore, api: KServeApi, releases: list[Release], history: History
) -> None:
    champion, broken = releases
    champions.promote(champion, "first of its mode", "one")
    history.acknowledge(champion.id)

    api.is_failing = True
    api.fail_at(UPDATE + 3, takes_effect=False)  # the update that restores the champion
    history.attempt(broken.id)
    with pytest.raises(
        PromotionError, match=r"could not be restored \(the Kubernetes API"
    ) as error:
        champions.promote(broken, "better", "two")
    assert "\n" not in str(error.value)
    history.fire(f"{api.requests[-1]} was not answered")

    api.is_down = api.is_failing = False
    assert champions.get_champion(MODE) == champion
    with history.recovery():
        champions.promote(champion, "restored", "one")
    assert champions.get_champion(MODE) == champion
    history.find(list_changes(champions))
