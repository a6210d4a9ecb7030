"""The pages of the monitor: content, empty and stale states, errors, security."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from skyclass.apps.monitor.app import PAGE_ROWS, make_app
from skyclass.apps.monitor.state import StateReader
from skyclass.local.s3_server import EmbeddedS3
from skyclass.monitoring.accounting import Accounting
from skyclass.monitoring.decisions import Action, Cause, Decision, Run, RunState
from skyclass.monitoring.documents import save_document
from skyclass.monitoring.estimate import AccuracyEstimate
from skyclass.monitoring.verdict import Verdict
from skyclass.promotion import by_hand
from skyclass.promotion.approvals import ApprovalLog
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import Release
from skyclass.registry.verdicts import GateVerdict
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.accuracy import make_labelled_window
from tests.support.html import extract_text
from tests.support.monitoring import END, make_daily_verdict
from tests.support.releases import draft, write_files
from tests.support.world import NOW, ROWS, UNLABELLED_WINDOWS, WINDOWS

pytestmark = pytest.mark.slow

PATHS = ("", "accuracy", "predictions", "scored", "releases", "decisions")
ALL_PATHS = ("/", *(f"/{mode}/{path}" for mode in Mode for path in PATHS))


def make_client(store: ObjectStore, now: datetime = NOW) -> TestClient:
    return TestClient(make_app(StateReader(store, LocalChampionStore(store)), lambda: now))


def publish_and_promote(
    store: ObjectStore, folder: Path, mode: Mode, reason: str = "for a test", run_id: str = "test"
) -> Release:
    champions = LocalChampionStore(store)
    release = champions.registry.publish(draft(mode, run_id=run_id), write_files(folder))
    champions.promote(release, reason, "test")
    return release


@pytest.mark.parametrize("path", ALL_PATHS)
def test_every_page_has_a_strict_policy(page: TestClient, path: str) -> None:
    response = page.get(path)
    assert response.status_code == 200
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; img-src 'self'")
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|https?://(?!kfp)", response.text)


@pytest.mark.parametrize("path", [*ALL_PATHS, "/healthz", "/metrics", "/nowhere"])
def test_head_has_status_and_headers_of_get(page: TestClient, path: str) -> None:
    get, head = page.get(path), page.head(path)
    assert head.status_code == get.status_code
    assert head.content == b""
    assert set(head.headers) == set(get.headers)


def test_verdict_has_rows_window_and_release(page: TestClient) -> None:
    text = extract_text(page.get("/spectroscopic/").text)
    assert "Newest window No drift" in text
    assert "Window 2026-05-01 00:00 to 2026-05-02 00:00 Rows compared 600" in text
    assert "trained on 5,000 observations, 5,000 simulated" in text


def test_each_column_has_a_chart_with_a_text_alternative(page: TestClient) -> None:
    html = page.get("/spectroscopic/").text
    labels = re.findall(r'role="img"[^>]*aria-label="([^"]+)"', html)
    label = next(label for label in labels if label.startswith("r-i: "))
    assert re.fullmatch(
        r"r-i: distance from the reference over 14 windows, newest 0\.\d\d, threshold 0\.10, "
        r"drifted in \d",
        label,
    )
    assert any("threshold 0.07" in label for label in labels if label.startswith("predicted class"))
    assert html.count('class="mark"') > 20


def test_every_window_links_to_its_report(page: TestClient) -> None:
    html = page.get("/spectroscopic/").text
    assert len(set(re.findall(r'href="(/spectroscopic/reports/\w+)"', html))) == WINDOWS
    report = page.get("/spectroscopic/reports/20260502T000000Z").text
    assert 'sandbox="allow-scripts"' in report
    raw = page.get("/spectroscopic/reports/20260502T000000Z/report.html")
    assert raw.status_code == 200
    assert raw.headers["content-security-policy"].startswith("sandbox allow-scripts; default-src")


def test_number_of_windows_is_a_parameter(page: TestClient) -> None:
    html = page.get("/spectroscopic/?windows=5").text
    assert len(set(re.findall(r'href="(/spectroscopic/reports/\w+)"', html))) == 5
    assert "Show up to 366 windows" in html


def test_measured_and_estimated_accuracy_with_the_caveat(page: TestClient) -> None:
    text = extract_text(page.get("/spectroscopic/accuracy").text)
    assert "valid only while objects with the same measurements have the same class" in text
    assert re.search(r"Mean absolute error of the estimate: \d\.\d percentage points over 11", text)
    assert "6,600 predictions of these windows have a label (78.6%)" in text
    assert text.count("no labels") == UNLABELLED_WINDOWS
    assert "Rows: true class (label). Columns: predicted class." in text
    assert "Champion and parent on the same rows" in text
    assert re.search(
        r"Accuracy of the champion \w{12} on its random hold-out: 9\d\.\d% of 1,5", text
    )


def test_interval_of_the_estimate_is_compared_with_labels(page: TestClient) -> None:
    html = page.get("/spectroscopic/accuracy").text
    text = extract_text(html)
    assert html.count('<line class="interval estimated"') == WINDOWS
    assert len(re.findall(r"\d\d\.\d\W\d\d\.\d%", text)) == WINDOWS
    (inside,) = re.findall(r"interval contained the measured accuracy in (\d+) of 11 windows", text)
    assert html.count("<td>yes</td>") == int(inside)
    assert html.count("<td>no</td>") == 11 - int(inside)


@pytest.mark.parametrize(
    ("correct", "notice"), [(582, ""), (500, "Do not rely on the estimate. The 95% interval")]
)
def test_estimate_whose_intervals_miss_is_not_to_be_relied_on(
    store: ObjectStore, correct: int, notice: str
) -> None:
    estimate = AccuracyEstimate(accuracy=0.97, expected_error=0.01, lower=0.95, upper=0.98)
    for days in range(3):
        end = END - timedelta(days=days)
        save_document(store, make_labelled_window(600, correct, end, estimate=estimate))
    html = make_client(store).get("/spectroscopic/accuracy").text
    assert "interval contained the measured accuracy in" in html
    assert re.findall(r'<p class="notice">(.{45})', html) == [notice] * bool(notice)


def test_coverage_of_label_sets_by_class_magnitude_and_era(page: TestClient) -> None:
    html = page.get("/spectroscopic/accuracy").text
    assert "Coverage of the label sets over 14 windows" in html
    for text in ("promise, 95.0%", "r 18 to 20", "boss", "labelled predictions are covered"):
        assert text in html


def test_predictions_are_paged_without_gaps_or_repetition(page: TestClient) -> None:
    objects: list[str] = []
    url = "/spectroscopic/predictions"
    for _ in range(4):
        html = page.get(url).text
        objects += re.findall(r"<td>(\d+-\d+-\d+)</td>", html)
        link = re.search(r'href="([^"]+after=[^"]+)">Older', html)
        assert link
        url = link[1]
    assert len(objects) == 4 * PAGE_ROWS
    assert len(set(objects)) == len(objects)
    assert len(objects) < ROWS


def test_releases_show_lineage_and_promotions(page: TestClient) -> None:
    text = extract_text(page.get("/spectroscopic/releases").text)
    assert "champion" in text
    assert re.search(r"[0-9a-f]{12} replaced [0-9a-f]{12}", text)
    assert "Gate passed: better than the champion: macro-F1 0.9" in text
    assert "0 of 20 checks failed." in text
    assert "by run run-17" in text


def test_decisions_have_reasons_and_outcomes(page: TestClient) -> None:
    html = page.get("/spectroscopic/decisions").text
    text = extract_text(html)
    assert text.count("No action after the window") == WINDOWS - 2
    assert "The run failed: step ingest: timed out." in text
    assert "The new release bbbbbbbbbbbb became champion." in text
    assert '<a href="https://kfp.example.org/#/runs/details/run-17" rel="noreferrer">' in html


def test_mode_without_a_release(page: TestClient) -> None:
    text = extract_text(page.get("/photometric/").text)
    assert "No release is served in this mode yet. Run the training pipeline" in text
    for path in PATHS[1:]:
        assert 'class="empty"' in page.get(f"/photometric/{path}").text


def test_mode_without_a_window(store: ObjectStore, tmp_path: Path) -> None:
    publish_and_promote(store, tmp_path, Mode.PHOTOMETRIC)
    text = extract_text(make_client(store).get("/photometric/").text)
    assert "No window has been evaluated yet." in text


def test_stale_window(world: ObjectStore) -> None:
    client = make_client(world, END + timedelta(days=5))
    text = extract_text(client.get("/spectroscopic/").text)
    assert "the newest window ended 5 days ago, and the drift job runs every 1 day" in text


def test_short_window_is_not_stale_before_the_schedule_is_missed(
    store: ObjectStore, tmp_path: Path
) -> None:
    short = make_daily_verdict(Verdict.NO_DRIFT, "a" * 64, END)
    save_document(store, short.model_copy(update={"window_start": END - timedelta(minutes=1)}))
    later = END + timedelta(hours=40)
    assert "stale" not in extract_text(make_client(store, later).get("/spectroscopic/").text)
    hourly = make_app(
        StateReader(store, LocalChampionStore(store)), lambda: later, timedelta(hours=1)
    )
    text = extract_text(TestClient(hourly).get("/spectroscopic/").text)
    assert "ended 2 days ago, and the drift job runs every 1 hour" in text


def test_window_that_ends_in_the_future_is_reported(
    store: ObjectStore, save_verdict: Callable[[ObjectStore], None]
) -> None:
    save_verdict(store)
    client = make_client(store, END - timedelta(hours=1))
    text = extract_text(client.get("/spectroscopic/").text)
    assert "The newest window ends in the future, at 2026-05-02 00:00 UTC" in text


def test_predictions_of_other_releases_are_reported(store: ObjectStore) -> None:
    accounting = Accounting(other_releases={"b" * 64: 177_246})
    verdict = make_daily_verdict(Verdict.NO_DRIFT, "a" * 64, END)
    save_document(store, verdict.model_copy(update={"accounting": accounting}))
    text = extract_text(make_client(store).get("/spectroscopic/").text)
    assert "Left out 177,246 rows of release bbbbbbbbbbbb" in text


def save_run(store: ObjectStore, run: Run) -> None:
    """Store the decision that started a run."""
    decision = Decision(
        mode=Mode.SPECTROSCOPIC,
        window_end=END,
        decided_at=END,
        champion="a" * 64,
        table_version=1,
        action=Action.RETRAIN,
        cause=Cause.DRIFT,
        reason="drift",
        run=run,
    )
    save_document(store, decision)


@pytest.mark.parametrize(
    ("passed", "text"),
    [(True, "became champion."), (False, "was not promoted: macro-F1 is lower.")],
)
def test_run_has_ended_when_its_release_is_published(
    store: ObjectStore, tmp_path: Path, passed: bool, text: str
) -> None:
    save_run(store, Run(state=RunState.RUNNING, id="run"))
    before = extract_text(make_client(store).get("/spectroscopic/decisions").text)
    assert "The run had not ended when the drift job last checked it." in before

    gate = GateVerdict(
        passed=passed, reason="macro-F1 is lower", challenger_macro_f1=0.9, rows=1_000
    )
    champions = LocalChampionStore(store)
    manifest = draft(Mode.SPECTROSCOPIC, run_id="run", gate=gate)
    release = champions.registry.publish(manifest, write_files(tmp_path))
    if passed:
        champions.promote(release, "gate passed", "run")
    after = extract_text(make_client(store).get("/spectroscopic/decisions").text)
    assert text in after


def test_run_whose_release_waits_has_ended_until_a_person_decides(
    store: ObjectStore, save_verdict: Callable[[ObjectStore], None], tmp_path: Path
) -> None:
    save_verdict(store)
    save_run(store, Run(state=RunState.RUNNING, id="run"))
    champions, approvals = LocalChampionStore(store), ApprovalLog(store)
    release = champions.registry.publish(
        draft(Mode.SPECTROSCOPIC, run_id="run"), write_files(tmp_path)
    )
    approvals.request(release, "the run has promotion=approve")
    waits = extract_text(make_client(store).get("/spectroscopic/decisions").text)
    assert "was not promoted: it waits for approval since" in waits

    by_hand.decline(champions, approvals, release, "vera", "too many stars")
    declined = extract_text(make_client(store).get("/spectroscopic/decisions").text)
    assert "it was declined by vera (too many stars)" in declined

    by_hand.approve(champions, approvals, release, "vera", "the stars are right")
    approved = extract_text(make_client(store).get("/spectroscopic/decisions").text)
    assert f"The new release {release.id[:12]} became champion" in approved


def test_champion_without_an_evaluated_window(
    store: ObjectStore, save_verdict: Callable[[ObjectStore], None], tmp_path: Path
) -> None:
    save_verdict(store)
    champion = publish_and_promote(store, tmp_path, Mode.SPECTROSCOPIC)
    text = extract_text(make_client(store).get("/spectroscopic/").text)
    assert f"The champion has changed to {champion.id[:12]}" in text
    assert "none of its windows has been evaluated yet" in text


def test_accuracy_before_the_accuracy_job(
    store: ObjectStore, save_verdict: Callable[[ObjectStore], None]
) -> None:
    save_verdict(store)
    text = extract_text(make_client(store).get("/spectroscopic/accuracy").text)
    assert "No accuracy yet: the drift job joins labels after each window." in text


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
def test_invalid_urls_give_an_error_page(page: TestClient, path: str, status: int) -> None:
    response = page.get(path)
    assert response.status_code == status
    assert "<h1>" in response.text
    assert "Traceback" not in response.text
    assert "default-src 'none'" in response.headers["content-security-policy"]


def test_unreachable_store_keeps_the_last_state(tmp_path: Path) -> None:
    now = [NOW]
    with EmbeddedS3(tmp_path) as access:
        settings = Settings(**access.environment(), s3_retries=0, s3_connect_seconds=1)
        store = ObjectStore(settings)
        store.make_buckets()
        reader = StateReader(store, LocalChampionStore(store))
        client = TestClient(make_app(reader, lambda: now[0]))
        assert client.get("/photometric/").status_code == 200
        now[0] += timedelta(minutes=1)
    response = client.get("/photometric/")
    assert response.status_code == 200
    text = extract_text(response.text)
    assert "The object store cannot be read. The object store at" in text
    assert "This page shows the state of 2026-05-02 09:00 UTC" in text
    missing = client.get("/spectroscopic/")
    assert missing.status_code == 503
    assert "The object store cannot be read." in missing.text
    assert 'skyclass_monitor_readable{mode="photometric"} 0.0' in client.get("/metrics").text
    assert client.get("/spectroscopic/predictions").status_code == 503
    assert client.get("/healthz").status_code == 200


def test_all_urls_start_with_the_root_path(world: ObjectStore) -> None:
    app = make_app(StateReader(world, LocalChampionStore(world)), lambda: NOW)
    html = TestClient(app, root_path="/sky").get("/spectroscopic/").text
    urls = re.findall(r'(?:href|src)="([^"#]+)"', html)
    assert urls
    assert all(url.startswith("/sky/") for url in urls)


def test_the_user_is_shown_only_behind_a_login(world: ObjectStore) -> None:
    reader = StateReader(world, LocalChampionStore(world))
    headers = {"X-Forwarded-Email": "<b>ada@example.org"}
    behind = TestClient(make_app(reader, lambda: NOW, has_login=True), root_path="/sky")
    html = behind.get("/spectroscopic/", headers=headers).text
    assert '&lt;b&gt;ada@example.org <a href="/sky/oauth2/sign_out?rd=/sky/">Sign out</a>' in html
    assert "Sign out" not in behind.get("/spectroscopic/").text
    alone = TestClient(make_app(reader, lambda: NOW))
    assert "ada@example.org" not in alone.get("/spectroscopic/", headers=headers).text


def test_foreign_text_is_escaped(store: ObjectStore, tmp_path: Path) -> None:
    reason, run_id = "<img src=x onerror=alert(1)>", "<script>alert(1)</script>"
    publish_and_promote(store, tmp_path, Mode.PHOTOMETRIC, reason, run_id)
    html = make_client(store).get("/photometric/releases").text
    assert "<script>" not in html
    assert "<img src=x" not in html
    assert "&lt;script&gt;" in html
