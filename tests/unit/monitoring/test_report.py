"""The drift report: consistent with the verdict, and self-contained."""

import gzip
import subprocess
import sys
import warnings
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from skyclass.monitoring.documents import REPORT, SNAPSHOT
from skyclass.monitoring.drift_job import run_drift
from skyclass.monitoring.verdict import Comparison, DriftVerdict, Verdict
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import REFERENCE
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import Era
from tests.support.monitoring import (
    END,
    START,
    draw_observations,
    make_log_rows,
    publish_reference,
    write_log_rows,
)

pytestmark = pytest.mark.slow

MODE = Mode.SPECTROSCOPIC
MAX_BYTES = 5_000_000


class PageParser(HTMLParser):
    """Collects the URLs that a page loads, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe"):
            self.urls += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def parse(html: bytes) -> PageParser:
    page = PageParser()
    page.feed(html.decode())
    return page


def read_evidently_tests(snapshot: bytes) -> dict[str, tuple[float, str]]:
    """Return Evidently's score and status of each column."""
    from evidently.core.report import Snapshot

    run = Snapshot.loads(gzip.decompress(snapshot).decode()).dict()
    scores = {each["config"].get("column"): each["value"] for each in run["metrics"]}
    return {
        params["column"]: (scores[params["column"]], each["status"].value)
        for each in run["tests"]
        if "column" in (params := each["metric_config"]["params"])
    }


def expect(comparison: Comparison) -> tuple[float, str]:
    return comparison.score, "FAIL" if comparison.drifted else "SUCCESS"


def test_window_of_one_repeated_object_is_rendered_without_a_warning(
    store: ObjectStore, tmp_path: Path
) -> None:
    champions = LocalChampionStore(store)
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 600, seed=1))
    repeated = pd.concat([draw_observations(Era.LEGACY, 1, seed=2)] * 600, ignore_index=True)
    write_log_rows(store, make_log_rows(repeated, release.id))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert run_drift(store, champions, MODE, START, END).verdict.verdict is Verdict.DRIFT


@pytest.mark.parametrize("mode", Mode)
def test_evidently_agrees_with_the_verdict_on_each_column(
    store: ObjectStore, tmp_path: Path, mode: Mode
) -> None:
    reference = draw_observations(Era.LEGACY, 2_000, seed=1)
    window = draw_observations(Era.LEGACY, 1_000, seed=2)
    window["u"] += 0.3  # some columns drift and others do not
    champions = LocalChampionStore(store)
    release = publish_reference(champions, tmp_path, reference, mode)
    write_log_rows(store, make_log_rows(window, release.id, mode))
    result = run_drift(store, champions, mode, START, END)
    verdict = result.verdict
    assert {each.drifted for each in verdict.columns.values()} == {True, False}
    assert verdict.predictions is not None
    snapshot = store.get(store.settings.reports_bucket, result.prefix + SNAPSHOT)
    assert read_evidently_tests(snapshot) == {
        **{name: expect(comparison) for name, comparison in verdict.columns.items()},
        "predicted": expect(verdict.predictions),
    }


def test_report_is_self_contained_and_has_the_reason(store: ObjectStore, tmp_path: Path) -> None:
    champions = LocalChampionStore(store)
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 2_000, seed=1))
    write_log_rows(store, make_log_rows(draw_observations(Era.BOSS, 1_000, seed=2), release.id))
    result = run_drift(store, champions, Mode.SPECTROSCOPIC, START, END)
    html = store.get(store.settings.reports_bucket, result.prefix + REPORT)
    assert len(html) <= MAX_BYTES
    page = parse(html)
    assert [url for url in page.urls if not url.startswith("data:")] == []
    for text in ("2026-05-02", release.id[:12], "1,000 of them simulated", "1,000 rows"):
        assert text in page.text
    assert result.verdict.reason[1:] in page.text
    assert b"drawDashboard" in html


@pytest.mark.parametrize(
    ("cause", "verdict", "headline"),
    [
        ("empty", Verdict.INSUFFICIENT_DATA, "Not enough data"),
        ("sentinels", Verdict.DATA_QUALITY, "Data quality problem"),
        ("reference", Verdict.ERROR, "Evaluation failed"),
    ],
)
def test_window_without_a_comparison_has_a_report_without_charts(
    store: ObjectStore, tmp_path: Path, cause: str, verdict: Verdict, headline: str
) -> None:
    champions = LocalChampionStore(store)
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 1_000, seed=1))
    if cause == "sentinels":
        write_log_rows(
            store,
            make_log_rows(draw_observations(Era.LEGACY, 600, seed=2).assign(u=-9999.0), release.id),
        )
    if cause == "reference":
        key = release.prefix + REFERENCE
        store.put(store.settings.models_bucket, key, b"broken", "application/octet-stream")
    result = run_drift(store, champions, Mode.SPECTROSCOPIC, START, END)
    assert result.verdict.verdict is verdict
    bucket = store.settings.reports_bucket
    page = parse(store.get(bucket, result.prefix + REPORT))
    assert page.urls == []
    assert headline in page.text
    assert result.verdict.reason[1:] in page.text
    assert gzip.decompress(store.get(bucket, result.prefix + SNAPSHOT)) == b"{}"
    assert DriftVerdict.model_validate_json(store.get(bucket, f"{result.prefix}verdict.json"))


def test_short_window_is_plotted_over_the_row_number(store: ObjectStore, tmp_path: Path) -> None:
    champions = LocalChampionStore(store)
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 1_000, seed=1))
    rows = make_log_rows(draw_observations(Era.LEGACY, 1_000, seed=2), release.id)
    write_log_rows(store, rows.assign(time=START))  # one large request, logged at one time
    result = run_drift(store, champions, Mode.SPECTROSCOPIC, START, END)
    assert result.verdict.verdict is Verdict.NO_DRIFT
    html = store.get(store.settings.reports_bucket, result.prefix + REPORT)
    assert b"Index binned" in html


def test_evidently_is_imported_only_to_render() -> None:
    code = "import sys, skyclass.monitoring.drift_job; sys.exit('evidently' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
