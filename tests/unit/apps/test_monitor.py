"""What the monitor page says: verdicts, measurements, decisions, and what is missing."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient

from skyclass.apps.monitor.app import PAGE_ROWS, make_app
from skyclass.apps.monitor.reading import Reader
from skyclass.local.s3_server import EmbeddedS3
from skyclass.promotion.local import LocalChampionStore
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.monitoring import END
from tests.support.releases import draft, write_files
from tests.support.world import NOW, ROWS, WINDOWS

PATHS = ("", "accuracy", "predictions", "scored", "releases", "decisions")
EVERY_PAGE = ("/", *(f"/{mode}/{path}" for mode in Mode for path in PATHS))


def text(html: str) -> str:
    """The words of a page, as one line."""

    class Words(HTMLParser):
        said = ""

        def handle_data(self, data: str) -> None:
            self.said += f" {data}"

    words = Words()
    words.feed(html)
    return re.sub(r"\s+", " ", words.said)


def empty_page(store: ObjectStore, now: datetime = NOW) -> TestClient:
    return TestClient(make_app(Reader(store, LocalChampionStore(store)), lambda: now))


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_every_page_answers_under_a_strict_policy(page: TestClient, path: str) -> None:
    answer = page.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; img-src 'self'")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|https?://(?!kfp)", answer.text)


def test_the_verdict_is_said_with_rows_window_and_release(page: TestClient) -> None:
    said = text(page.get("/spectroscopic/").text)
    assert "The newest window says No drift" in said
    assert "Window 2026-05-01 00:00 to 2026-05-02 00:00 Rows compared 600" in said
    assert "trained on 5,000 observations, 5,000 of them simulated" in said


def test_each_column_has_a_chart_that_says_in_words_what_it_shows(page: TestClient) -> None:
    html = page.get("/spectroscopic/").text
    labels = re.findall(r'role="img"[^>]*aria-label="([^"]+)"', html)
    found = next(label for label in labels if label.startswith("r-i: "))
    assert re.fullmatch(
        r"r-i: distance from the reference over 14 windows, the newest 0\.\d\d, limit 0\.10, "
        r"drifted in \d",
        found,
    )
    assert any("limit 0.07" in label for label in labels if label.startswith("predicted class"))
    assert html.count('class="mark"') > 20


def test_every_window_is_listed_with_its_report(page: TestClient) -> None:
    html = page.get("/spectroscopic/").text
    addresses = set(re.findall(r'href="(/spectroscopic/reports/\w+)"', html))
    assert len(addresses) == WINDOWS
    shown = page.get("/spectroscopic/reports/20260502T000000Z").text
    assert 'sandbox="allow-scripts"' in shown
    raw = page.get("/spectroscopic/reports/20260502T000000Z/report.html")
    assert raw.status_code == 200
    assert raw.headers["content-security-policy"].startswith("sandbox allow-scripts; default-src")


def test_fewer_windows_can_be_asked_for(page: TestClient) -> None:
    html = page.get("/spectroscopic/?windows=5").text
    assert len(set(re.findall(r'href="(/spectroscopic/reports/\w+)"', html))) == 5
    assert "Show up to 366 windows" in html


def test_accuracy_stands_beside_its_estimate_with_the_caveat(page: TestClient) -> None:
    said = text(page.get("/spectroscopic/accuracy").text)
    assert "valid only while objects that look alike still are alike" in said
    assert "Over the 11 windows where both are known, the estimate was off by" in said
    assert "6,600 answers of these windows have a label: 78.6% of all" in said
    assert said.count("no labels yet") == 3
    assert "Rows: what the label says. Columns: what was answered." in said
    assert "The champion and its parent on the same rows" in said


def test_predictions_are_paged_without_a_gap(page: TestClient) -> None:
    seen: list[str] = []
    address = "/spectroscopic/predictions"
    for _ in range(4):
        html = page.get(address).text
        seen += re.findall(r"<td>(\d+-\d+-\d+)</td>", html)
        found = re.search(r'href="([^"]+after=[^"]+)">Older', html)
        assert found
        address = found[1]
    assert len(seen) == 4 * PAGE_ROWS
    assert len(set(seen)) == len(seen)
    assert len(seen) < ROWS


def test_releases_show_lineage_and_promotions(page: TestClient) -> None:
    said = text(page.get("/spectroscopic/releases").text)
    assert "champion" in said
    assert re.search(r"[0-9a-f]{12} took the place of [0-9a-f]{12}", said)
    assert "Passed the gate: macro-F1 0.9" in said
    assert "by run run-17" in said


def test_decisions_say_why_and_what_came_of_them(page: TestClient) -> None:
    html = page.get("/spectroscopic/decisions").text
    said = text(html)
    assert said.count("Did not retrain after the window") == WINDOWS - 2
    assert "The run failed: step ingest: no answer." in said
    assert "The new release bbbbbbbbbbbb became champion." in said
    assert '<a href="https://kfp.example.org/#/runs/details/run-17" rel="noreferrer">' in html


def test_nothing_served_is_said_in_words(page: TestClient) -> None:
    said = text(page.get("/photometric/").text)
    assert "Nothing is served in this mode yet. Run the training pipeline" in said
    for path in PATHS[1:]:
        assert 'class="empty"' in page.get(f"/photometric/{path}").text


def test_served_but_not_yet_judged_is_said_in_words(store: ObjectStore, tmp_path_factory) -> None:
    champions = LocalChampionStore(store)
    files = write_files(tmp_path_factory.mktemp("release"))
    champions.promote(
        champions.registry.publish(draft(Mode.PHOTOMETRIC), files), "for a test", "test"
    )
    said = text(empty_page(store).get("/photometric/").text)
    assert "No window has been judged yet." in said


def test_an_old_window_is_said_to_be_old(world: ObjectStore) -> None:
    said = text(empty_page(world, END + timedelta(days=5)).get("/spectroscopic/").text)
    assert "the newest window ended 5 days ago, and windows are 1 day long" in said


def test_a_new_champion_that_has_not_been_judged_is_said_so(
    store: ObjectStore, judged: Callable[[ObjectStore], None], tmp_path_factory
) -> None:
    champions = LocalChampionStore(store)
    judged(store)
    files = write_files(tmp_path_factory.mktemp("release"))
    champions.promote(
        champions.registry.publish(draft(Mode.SPECTROSCOPIC), files), "for a test", "test"
    )
    said = text(empty_page(store).get("/spectroscopic/").text)
    assert "The champion has changed since" in said
    assert "no window of its answers has been judged" in said


def test_no_label_can_arrive_without_keys_and_without_a_table(
    store: ObjectStore, judged: Callable[[ObjectStore], None]
) -> None:
    judged(store)
    said = text(empty_page(store).get("/spectroscopic/accuracy").text)
    assert "Nothing is known yet: the drift job looks for labels after each window." in said


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nowhere", 404),
        ("/both/", 404),
        ("/spectroscopic/reports/yesterday", 404),
        ("/spectroscopic/reports/20269999T000000Z", 404),
        ("/spectroscopic/reports/20200101T000000Z/report.html", 404),
        ("/spectroscopic/reports/..%2f..%2fsecret/report.html", 404),
        ("/spectroscopic/predictions?after=x", 422),
        ("/spectroscopic/?windows=0", 422),
        ("/spectroscopic/?windows=many", 422),
    ],
)
def test_a_wrong_address_is_a_page_that_says_so(page: TestClient, path: str, status: int) -> None:
    answer = page.get(path)
    assert answer.status_code == status
    assert "<h1>" in answer.text
    assert "Traceback" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_store_that_goes_away_leaves_what_was_read_and_says_so(tmp_path_factory) -> None:
    now = [NOW]
    with EmbeddedS3(tmp_path_factory.mktemp("s3")) as access:
        settings = Settings(**access.environment(), s3_retries=0, s3_connect_seconds=1)
        store = ObjectStore(settings)
        store.make_buckets()
        client = TestClient(make_app(Reader(store, LocalChampionStore(store)), lambda: now[0]))
        assert client.get("/photometric/").status_code == 200
        now[0] += timedelta(minutes=1)
    answer = client.get("/photometric/")
    assert answer.status_code == 200
    assert "Not up to date. The object store at" in text(answer.text)
    assert "You see what was read at 2026-05-02 09:00" in text(answer.text)
    assert client.get("/spectroscopic/").status_code == 503
    assert "Not up to date" in client.get("/spectroscopic/").text
    assert 'skyclass_monitor_readable{mode="photometric"} 0.0' in client.get("/metrics").text
    assert client.get("/spectroscopic/predictions").status_code == 503
    assert client.get("/healthz").status_code == 200


def test_below_a_path_of_a_proxy_every_address_begins_with_it(world: ObjectStore) -> None:
    app = make_app(Reader(world, LocalChampionStore(world)), lambda: NOW)
    html = TestClient(app, root_path="/sky").get("/spectroscopic/").text
    addresses = re.findall(r'(?:href|src)="([^"#]+)"', html)
    assert addresses
    assert all(address.startswith("/sky/") for address in addresses)


def test_what_comes_from_elsewhere_is_escaped(store: ObjectStore, tmp_path_factory) -> None:
    champions = LocalChampionStore(store)
    files = write_files(tmp_path_factory.mktemp("release"))
    release = champions.registry.publish(
        draft(Mode.PHOTOMETRIC, run_id="<script>alert(1)</script>"), files
    )
    champions.promote(release, "<img src=x onerror=alert(1)>", "test")
    html = empty_page(store).get("/photometric/releases").text
    assert "<script>" not in html
    assert "<img src=x" not in html
    assert "&lt;script&gt;" in html
