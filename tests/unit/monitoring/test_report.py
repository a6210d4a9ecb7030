"""The report says what the verdict says, and needs nothing from elsewhere."""

import gzip
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from skyclass.monitoring.drift import REPORT, SNAPSHOT, run_drift
from skyclass.monitoring.verdict import Comparison, DriftVerdict, Verdict
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import REFERENCE
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import Era
from tests.support.monitoring import END, START, log, log_rows, publish, simulated

MAX_BYTES = 5_000_000


class Resources(HTMLParser):
    """Collects the addresses that a page loads, and its visible text."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe"):
            self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def parse(page: bytes) -> Resources:
    resources = Resources()
    resources.feed(page.decode())
    return resources


def judged_by_evidently(snapshot: bytes) -> dict[str, tuple[float, str]]:
    """Evidently's score and status of each column."""
    from evidently.core.report import Snapshot

    run = Snapshot.loads(gzip.decompress(snapshot).decode()).dict()
    scores = {each["config"].get("column"): each["value"] for each in run["metrics"]}
    return {
        params["column"]: (scores[params["column"]], each["status"].value)
        for each in run["tests"]
        if "column" in (params := each["metric_config"]["params"])
    }


def expected(found: Comparison) -> tuple[float, str]:
    return found.score, "FAIL" if found.drifted else "SUCCESS"


@pytest.mark.parametrize("mode", Mode)
def test_evidently_shows_the_verdict_of_each_column(
    store: ObjectStore, tmp_path: Path, mode: Mode
) -> None:
    reference = simulated(Era.LEGACY, 2_000, seed=1)
    window = simulated(Era.LEGACY, 1_000, seed=2)
    window["u"] += 0.3  # some columns drift and others do not
    champions = LocalChampionStore(store)
    release = publish(champions, tmp_path, reference, mode)
    log(store, log_rows(window, release.id, mode))
    result = run_drift(store, champions, mode, START, END)
    verdict = result.verdict
    assert {each.drifted for each in verdict.columns.values()} == {True, False}
    assert verdict.predictions is not None
    snapshot = store.get(store.settings.reports_bucket, result.prefix + SNAPSHOT)
    assert judged_by_evidently(snapshot) == {
        **{name: expected(found) for name, found in verdict.columns.items()},
        "predicted": expected(verdict.predictions),
    }


def test_the_report_is_self_contained_and_says_the_verdict_in_words(
    store: ObjectStore, tmp_path: Path
) -> None:
    champions = LocalChampionStore(store)
    release = publish(champions, tmp_path, simulated(Era.LEGACY, 2_000, seed=1))
    log(store, log_rows(simulated(Era.BOSS, 1_000, seed=2), release.id))
    result = run_drift(store, champions, Mode.SPECTROSCOPIC, START, END)
    page = store.get(store.settings.reports_bucket, result.prefix + REPORT)
    assert len(page) <= MAX_BYTES
    resources = parse(page)
    assert [url for url in resources.addresses if not url.startswith("data:")] == []
    for words in ("2026-05-02", release.id[:12], "1,000 of them simulated", "1,000 rows"):
        assert words in resources.text
    assert result.verdict.reason[1:] in resources.text
    assert b"drawDashboard" in page


@pytest.mark.parametrize(
    ("cause", "verdict", "words"),
    [
        ("empty", Verdict.INSUFFICIENT_DATA, "Too few rows to judge"),
        ("sentinels", Verdict.DATA_QUALITY, "Data quality problem"),
        ("reference", Verdict.ERROR, "The window could not be judged"),
    ],
)
def test_a_window_that_cannot_be_compared_has_a_page_of_its_own(
    store: ObjectStore, tmp_path: Path, cause: str, verdict: Verdict, words: str
) -> None:
    champions = LocalChampionStore(store)
    release = publish(champions, tmp_path, simulated(Era.LEGACY, 1_000, seed=1))
    if cause == "sentinels":
        log(store, log_rows(simulated(Era.LEGACY, 600, seed=2).assign(u=-9999.0), release.id))
    if cause == "reference":
        key = release.prefix + REFERENCE
        store.put(store.settings.models_bucket, key, b"broken", "application/octet-stream")
    result = run_drift(store, champions, Mode.SPECTROSCOPIC, START, END)
    assert result.verdict.verdict is verdict
    bucket = store.settings.reports_bucket
    resources = parse(store.get(bucket, result.prefix + REPORT))
    assert resources.addresses == []
    assert words in resources.text
    assert result.verdict.reason[1:] in resources.text
    assert gzip.decompress(store.get(bucket, result.prefix + SNAPSHOT)) == b"{}"
    assert DriftVerdict.model_validate_json(store.get(bucket, f"{result.prefix}verdict.json"))


def test_a_burst_of_requests_is_drawn_too(store: ObjectStore, tmp_path: Path) -> None:
    champions = LocalChampionStore(store)
    release = publish(champions, tmp_path, simulated(Era.LEGACY, 1_000, seed=1))
    rows = log_rows(simulated(Era.LEGACY, 1_000, seed=2), release.id)
    log(store, rows.assign(time=START))  # one large request: all its answers in one instant
    result = run_drift(store, champions, Mode.SPECTROSCOPIC, START, END)
    assert result.verdict.verdict is Verdict.NO_DRIFT
    page = store.get(store.settings.reports_bucket, result.prefix + REPORT)
    assert b"Index binned" in page


def test_evidently_is_not_imported_before_a_report_is_rendered() -> None:
    code = "import sys, skyclass.monitoring.drift; sys.exit('evidently' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
