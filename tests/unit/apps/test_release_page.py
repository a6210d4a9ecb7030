"""The page of a release: its lineage, and the links to it."""

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from skyclass.apps.monitor.app import make_app
from skyclass.apps.monitor.state import StateReader
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import MODEL_CARD, REPORT, Registry, Release
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.html import extract_text
from tests.support.releases import draft, write_files
from tests.support.world import NOW

pytestmark = pytest.mark.slow

RUN_ID = "2f5d8f5e-6a0e-4c1f-9d3a-0f6a3f1c2b7d"


@pytest.fixture(scope="module")
def releases(world: ObjectStore) -> list[Release]:
    """The first release and its successor, the champion."""
    return Registry(world).list_releases(Mode.SPECTROSCOPIC)


def make_client(store: ObjectStore) -> TestClient:
    return TestClient(make_app(StateReader(store, LocalChampionStore(store)), lambda: NOW))


def test_champion_has_the_whole_chain(page: TestClient, releases: list[Release]) -> None:
    first, champion = releases
    text = extract_text(page.get(f"/releases/{champion.id}").text)
    for part in (
        f"Release {champion.id[:12]} champion",
        "Run run-17 Champion at the time " + first.id[:12],
        "Algorithm hist gradient boosting settings: default Calibration none",
        "Started by the decision after the window ending 2026-04-27 00:00",
        "Observations table s3://skyclass-data/observations version 2 Rows 5,000",
        "Gate passed: better than the champion: macro-F1 0.9",
        f"replaced {first.id[:12]} 2 of the last 3 windows drifted: better. Run run-17",
        "2026-05-02 00:00 no drift 600 no labels",
        "table:?version=1",
    ):
        assert part in text
    assert re.search(r"6,600 6,600 9\d\.\d%", text)


def test_replaced_release_has_its_own_windows_and_its_successor(
    page: TestClient, releases: list[Release]
) -> None:
    first, champion = releases
    text = extract_text(page.get(f"/releases/{first.id}").text)
    assert f"Published while this release was champion: {champion.id[:12]} ." in text
    assert f"replaced by {champion.id[:12]}" in text
    assert "2026-04-27 00:00 drift 600" in text
    assert "2026-04-28 00:00" not in text
    assert "This release has not scored a table." in text


@pytest.mark.parametrize(
    "path",
    [
        *("", "accuracy", "predictions", "scored", "releases", "decisions"),
        "reports/20260502T000000Z",
    ],
)
def test_pages_of_the_mode_link_to_releases(
    page: TestClient, releases: list[Release], path: str
) -> None:
    assert f'href="/releases/{releases[1].id}"' in page.get(f"/spectroscopic/{path}").text


def test_decision_and_reports_are_linked(page: TestClient, releases: list[Release]) -> None:
    html = page.get(f"/releases/{releases[1].id}").text
    links = set(re.findall(r'href="(/spectroscopic/[^"]+)"', html))
    assert "/spectroscopic/decisions#20260427T000000Z" in links
    assert 'id="20260427T000000Z"' in page.get("/spectroscopic/decisions").text
    assert "/spectroscopic/reports/20260502T000000Z" in links
    assert 'href="https://kfp.example.org/#/runs/details/run-17"' in html


def test_beginning_of_an_id_is_enough(page: TestClient, releases: list[Release]) -> None:
    assert releases[0].id in page.get(f"/releases/{releases[0].id[:12]}").text


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("0" * 64, "No release begins with 000000"),
        ("abc", "&#39;abc&#39; is too short for a release id"),
        ("%00%0aabcdef", "No release begins with"),
        ("<b>abcdef", "No release begins with &lt;b&gt;abcdef"),
    ],
)
def test_unknown_release_gives_a_page_that_says_so(
    page: TestClient, name: str, sentence: str
) -> None:
    response = page.get(f"/releases/{name}")
    assert response.status_code == 404
    assert sentence in response.text
    assert "<b>" not in response.text


@pytest.mark.parametrize(
    ("url", "linked"), [("https://kfp", True), ("", False), ("javascript:alert(1)//", False)]
)
def test_run_by_hand_links_to_kfp_if_its_url_is_known(
    store: ObjectStore, tmp_path: Path, url: str, linked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = draft(Mode.PHOTOMETRIC, run_id=RUN_ID)
    release = Registry(store).publish(manifest, write_files(tmp_path))
    monkeypatch.setenv("KF_PIPELINES_UI_ENDPOINT", url)
    html = make_client(ObjectStore(Settings())).get(f"/releases/{release.id}").text
    assert (f'href="https://kfp/#/runs/details/{RUN_ID}"' in html) is linked
    assert "javascript:" not in html


def test_release_that_was_never_promoted(store: ObjectStore, tmp_path: Path) -> None:
    release = Registry(store).publish(draft(Mode.PHOTOMETRIC), write_files(tmp_path))
    html = make_client(store).get(f"/releases/{release.id}").text
    text = extract_text(html)
    assert 'class="notice"' not in html  # notices are about the mode's newest window
    assert "Promotions never promoted Windows none Batch predictions none" in text
    assert "This release has never been champion." in text
    assert "No window of this release has been evaluated." in text


def test_report_and_model_card_of_a_release(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / MODEL_CARD).write_text("# A card\n")
    files = write_files(tmp_path) | {MODEL_CARD: tmp_path / MODEL_CARD}
    release = Registry(store).publish(draft(Mode.PHOTOMETRIC), files)
    client = make_client(store)
    html = client.get(f"/releases/{release.id}").text
    for name in (REPORT, MODEL_CARD):
        address = f"/releases/{release.id}/{name}"
        assert f'href="{address}"' in html
        response = client.get(address)
        assert response.content == files[name].read_bytes()
        assert response.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    for name in ("model.joblib", "manifest.json", "nothing.html"):
        assert client.get(f"/releases/{release.id}/{name}").status_code == 404


def test_release_of_version_0_1_0_has_no_card(store: ObjectStore, tmp_path: Path) -> None:
    release = Registry(store).publish(draft(Mode.PHOTOMETRIC), write_files(tmp_path))
    client = make_client(store)
    assert MODEL_CARD not in client.get(f"/releases/{release.id}").text
    assert client.get(f"/releases/{release.id}/{MODEL_CARD}").status_code == 404
