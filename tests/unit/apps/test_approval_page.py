"""The page of a release that waits for an approval, and the notice about it."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from skyclass.apps.monitor.app import make_app
from skyclass.apps.monitor.state import StateReader
from skyclass.promotion import by_hand
from skyclass.promotion.approvals import ApprovalLog
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import Release
from skyclass.storage.s3 import ObjectStore
from tests.support.approvals import MODE, publish_champion, publish_waiting
from tests.support.html import extract_text

Read = Callable[[str], str]


@pytest.fixture
def champions(store: ObjectStore) -> LocalChampionStore:
    return LocalChampionStore(store)


@pytest.fixture
def waiting(store: ObjectStore, tmp_path: Path) -> Release:
    """A release that waits for an approval, because of its traffic."""
    publish_champion(store, tmp_path)
    return publish_waiting(store, tmp_path)


@pytest.fixture
def read(store: ObjectStore, champions: LocalChampionStore) -> Read:
    """Reads the text of a page as it is three hours from now."""
    now = datetime.now(UTC) + timedelta(hours=3)

    def read(path: str) -> str:
        client = TestClient(make_app(StateReader(store, champions), lambda: now))
        response = client.get(path)
        assert response.status_code == 200
        return extract_text(response.text)

    return read


def test_page_has_the_evidence_and_the_commands(read: Read, waiting: Release) -> None:
    text = read(f"/releases/{waiting.id}")
    assert "Waits for approval Requested " in text
    assert "by run run-2 : disagreement with the champion, r > 22" in text
    assert "Review: disagreement with the champion, r > 22" in text
    assert f'skyclass promote {waiting.id[:12]} --approve --reason "why"' in text
    assert f'skyclass promote {waiting.id[:12]} --decline --reason "why"' in text


@pytest.mark.parametrize("path", ["/", f"/{MODE}/", f"/{MODE}/releases"])
def test_pages_of_the_mode_have_a_notice(read: Read, waiting: Release, path: str) -> None:
    assert f"Release {waiting.id[:12]} has waited for approval for 3 hours" in read(path)


def test_list_of_releases_marks_it(read: Read, waiting: Release) -> None:
    assert f"{waiting.id[:12]} waiting" in read(f"/{MODE}/releases")


def test_time_of_waiting_is_exported(
    store: ObjectStore, champions: LocalChampionStore, waiting: Release
) -> None:
    now = datetime.now(UTC) + timedelta(hours=3)
    client = TestClient(make_app(StateReader(store, champions), lambda: now))
    found = re.search(
        rf'^skyclass_approval_waiting_seconds{{mode="{MODE}"}} (\S+)$',
        client.get("/metrics").text,
        re.MULTILINE,
    )
    assert found is not None
    assert float(found[1]) == pytest.approx(3 * 3600, abs=60)


def test_page_of_an_approved_release_has_who_and_why(
    read: Read, store: ObjectStore, champions: LocalChampionStore, waiting: Release
) -> None:
    by_hand.approve(champions, ApprovalLog(store), waiting, "vera", "checked by eye")
    text = read(f"/releases/{waiting.id}")
    assert "by vera : Checked by eye." in text
    assert "--approve" not in text
    releases = read(f"/{MODE}/releases")
    assert "Approved by vera." in releases
    assert "has waited for approval" not in releases


def test_page_of_an_interrupted_approval_has_the_command_that_completes_it(
    read: Read, store: ObjectStore, waiting: Release
) -> None:
    ApprovalLog(store).decide(waiting, approved=True, by="vera", reason="checked by eye")
    text = read(f"/releases/{waiting.id}")
    assert f"This command completes the promotion: skyclass promote {waiting.id[:12]}" in text


def test_page_of_a_superseded_release_says_so(
    read: Read, store: ObjectStore, waiting: Release, tmp_path: Path
) -> None:
    publish_waiting(store, tmp_path, run_id="run-3")
    assert "Superseded before it was approved" in read(f"/releases/{waiting.id}")


def test_page_of_another_release_has_no_such_section(
    read: Read, champions: LocalChampionStore, waiting: Release
) -> None:
    champion = champions.get_champion(MODE)
    assert champion is not None
    assert "approval" not in read(f"/releases/{champion.id}").replace("waited for approval", "")
