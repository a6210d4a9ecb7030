"""The lineage of a release as lines and as JSON."""

from datetime import timedelta

import pytest

from skyclass.cli.lineage import make_lineage_document, print_lineage
from skyclass.monitoring.accuracy import MeasuredAccuracy
from skyclass.monitoring.accuracy_job import WindowAccuracy
from skyclass.monitoring.lineage import Lineage, MonitoredWindow
from skyclass.monitoring.verdict import Verdict
from skyclass.registry.releases import Release
from skyclass.survey.features import Mode
from skyclass.tables.prediction_history import ScoredInput
from tests.support.monitoring import END, make_daily_verdict
from tests.support.releases import draft

RELEASE = Release("a" * 64, draft(Mode.SPECTROSCOPIC))
INPUTS = [ScoredInput("table:?version=3", 6_600, 600, 590, END, END)]


@pytest.fixture
def lineage() -> Lineage:
    """Two windows, one of them with labels."""
    measured = MeasuredAccuracy(rows=500, coverage=1, accuracy=0.97, recalls={}, confusion=())
    labelled = WindowAccuracy(
        mode=Mode.SPECTROSCOPIC,
        release=RELEASE.id,
        window_start=END - timedelta(days=1),
        window_end=END,
        answers=500,
        keyed=500,
        table_version=1,
        estimate=None,
        measured=measured,
        rivalry=None,
    )
    first = make_daily_verdict(Verdict.NO_DRIFT, RELEASE.id, END)
    second = make_daily_verdict(Verdict.DRIFT, RELEASE.id, END + timedelta(days=1))
    windows = (MonitoredWindow(first, labelled, None), MonitoredWindow(second, None, None))
    return Lineage(
        release=RELEASE,
        origin=None,
        successors=(),
        siblings=(),
        promotions=(),
        windows=windows,
        is_truncated=False,
    )


def test_windows_and_predictions_have_a_line_each(
    lineage: Lineage, capsys: pytest.CaptureFixture[str]
) -> None:
    print_lineage(lineage, None, INPUTS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3:] == [
        "window        2026-05-02 00:00  no drift, 0 rows, accuracy 0.9700",
        "window        2026-05-03 00:00  drift, 0 rows, no labels",
        "predictions   table:?version=3: 6,600 objects, 600 labelled",
    ]


def test_document_has_accuracy_of_windows_and_counts_of_predictions(lineage: Lineage) -> None:
    document = make_lineage_document(lineage, None, INPUTS)
    assert [each["measured"] for each in document["windows"]] == [0.97, None]
    assert [each["rows"] for each in document["predictions"]] == [6_600]
