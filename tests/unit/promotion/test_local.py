"""On one machine the newest promotion event names the champion."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from skyclass.errors import ReleaseError
from skyclass.promotion.events import Promotion
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import MANIFEST, Release
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.releases import draft, write_files

MODE = Mode.PHOTOMETRIC
Publish = Callable[[str], Release]


@pytest.fixture
def champions(store: ObjectStore) -> LocalChampionStore:
    return LocalChampionStore(store)


@pytest.fixture
def publish(champions: LocalChampionStore, tmp_path: Path) -> Publish:
    """Publishes a release of a pipeline run."""
    return lambda run_id: champions.registry.publish(
        draft(MODE, run_id=run_id), write_files(tmp_path)
    )


def test_without_a_promotion_there_is_no_champion(
    champions: LocalChampionStore, publish: Publish
) -> None:
    publish("a")
    assert champions.get_champion(MODE) is None
    assert champions.list_promotions(MODE) == []


def test_newest_promotion_names_the_champion_of_its_mode(
    champions: LocalChampionStore, publish: Publish
) -> None:
    first, second = publish("a"), publish("b")
    champions.promote(first, "first of its mode", "run-1")
    champions.promote(second, "better", "run-2")
    assert champions.get_champion(MODE) == second
    assert champions.get_champion(Mode.SPECTROSCOPIC) is None


def test_rollback_is_a_promotion_of_an_older_release(
    champions: LocalChampionStore, publish: Publish
) -> None:
    first, second = publish("a"), publish("b")
    champions.promote(first, "first", "by-hand")
    champions.promote(second, "better", "by-hand")
    target = champions.get_rollback_target(MODE)
    assert target == first
    champions.promote(target, "rolled back", "by-hand")
    assert champions.get_champion(MODE) == first
    history = [(p.from_release, p.to_release, p.reason) for p in champions.list_promotions(MODE)]
    assert history == [
        (None, first.id, "first"),
        (first.id, second.id, "better"),
        (second.id, first.id, "rolled back"),
    ]


def test_damaged_champion_can_be_rolled_back(
    champions: LocalChampionStore, publish: Publish, store: ObjectStore
) -> None:
    first, second = publish("a"), publish("b")
    champions.promote(second, "better", "by-hand")
    store.put(store.settings.models_bucket, second.prefix + MANIFEST, b"{}", "")
    champions.promote(first, "rolled back", "by-hand")
    assert champions.get_champion(MODE) == first


def test_promotion_is_the_newest_even_if_an_earlier_clock_was_ahead(
    champions: LocalChampionStore, publish: Publish, store: ObjectStore
) -> None:
    first, second = publish("a"), publish("b")
    event = champions.promote(first, "first", "by-hand")
    ahead = event.model_copy(update={"time": event.time + timedelta(hours=1)})
    key = f"promotions/{MODE}/{ahead.time:%Y%m%dT%H%M%S.%fZ}-{first.id}.json"
    store.put(store.settings.models_bucket, key, ahead.to_bytes(), "application/json")
    champions.promote(second, "better", "by-hand")
    assert champions.get_champion(MODE) == second


def test_malformed_promotion_is_named(champions: LocalChampionStore, store: ObjectStore) -> None:
    key = f"promotions/{MODE}/20260101T000000.000000Z-x.json"
    store.put(store.settings.models_bucket, key, b'{"mode": "photometric"}', "application/json")
    with pytest.raises(ReleaseError, match=f"^{key}: not a valid promotion of this version"):
        champions.get_champion(MODE)


def test_promotion_round_trips(champions: LocalChampionStore, publish: Publish) -> None:
    event = champions.promote(publish("a"), "first", "run-1")
    assert champions.list_promotions(MODE) == [event]
    assert Promotion.model_validate_json(event.to_bytes()) == event
