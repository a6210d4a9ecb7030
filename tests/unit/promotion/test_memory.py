"""A release that needs more memory than a predictor may have is not rolled out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from skyclass.errors import ClusterError, PromotionError
from skyclass.promotion import by_hand
from skyclass.promotion.approvals import ApprovalLog
from skyclass.promotion.champions import ChampionStore, open_champion_store
from skyclass.promotion.memory import PREDICTOR_BYTES, MemoryLimitError, check_memory, compute_need
from skyclass.registry.releases import Release
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.kube_api import NAMESPACE, make_template, serve_template
from tests.support.releases import draft
from tests.support.web import Web

MODE = Mode.PHOTOMETRIC
MEBIBYTE = 1 << 20


def make_release(memory: int | None) -> Release:
    return Release("a" * 64, draft(MODE, memory=memory))


LARGE = make_release(540 * MEBIBYTE - PREDICTOR_BYTES)


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    with serve_template(MODE, "512Mi", tmp_path, monkeypatch) as web:
        yield web


@pytest.fixture
def champions(api: Web, settings: Settings, store: ObjectStore) -> ChampionStore:
    return open_champion_store(settings.model_copy(update={"namespace": NAMESPACE}))


def test_message_states_need_limit_and_remedy() -> None:
    with pytest.raises(MemoryLimitError) as error:
        check_memory(LARGE, make_template(MODE, "512Mi"))
    assert str(error.value) == (
        "release aaaaaaaaaaaa: needs 540 MiB of memory, the predictor's limit is 512 MiB: raise "
        "predictor.resources.limits.memory, or train with fewer candidates"
    )


@pytest.mark.parametrize("limit", ["540Mi", "1Gi", "566231040", "1G", None])
def test_release_within_the_limit_passes(limit: str | None) -> None:
    check_memory(LARGE, make_template(MODE, limit))


def test_release_of_an_older_version_passes() -> None:
    old = make_release(None)
    assert compute_need(old) is None
    check_memory(old, make_template(MODE, "1Mi"))


def test_malformed_limit_is_named() -> None:
    with pytest.raises(ClusterError, match=r"memory limit of skyclass-photometric is '1 GB'"):
        check_memory(LARGE, make_template(MODE, "1 GB"))


def test_no_way_to_promote_starts_a_pod(
    champions: ChampionStore, store: ObjectStore, api: Web
) -> None:
    approvals = ApprovalLog(store)
    with pytest.raises(MemoryLimitError, match="needs 540 MiB"):
        champions.promote(LARGE, "rolled back by hand", "test")
    with pytest.raises(MemoryLimitError, match="needs 540 MiB"):
        by_hand.promote(champions, approvals, LARGE, "by hand", "test")
    with pytest.raises(MemoryLimitError, match="needs 540 MiB"):
        by_hand.approve(champions, approvals, LARGE, "a person", "it is better")
    assert {request.partition(" ")[0] for request in api.requests} == {"GET"}
    assert champions.list_promotions(MODE) == []


def test_approval_is_kept_for_when_the_limit_is_raised(
    champions: ChampionStore, store: ObjectStore
) -> None:
    approvals = ApprovalLog(store)
    with pytest.raises(PromotionError):
        by_hand.approve(champions, approvals, LARGE, "a person", "it is better")
    found = approvals.find(LARGE, None)
    assert found is not None
    assert found.decision is not None
    assert found.decision.approved


def test_rollback_to_a_release_without_the_figure_is_applied(champions: ChampionStore) -> None:
    with pytest.raises(ClusterError, match=r"^PATCH "):  # which this API does not have
        champions.promote(make_release(None), "rolled back by hand", "test")
