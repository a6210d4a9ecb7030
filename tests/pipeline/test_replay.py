"""Replay of real rows: the retraining loop keeps the accuracy when the survey changes."""

from pathlib import Path

from benchmarks.replay.__main__ import describe_step, summarise
from benchmarks.replay.chart import draw_accuracy
from benchmarks.replay.loop import replay
from benchmarks.replay.models import read_labelled_observations
from skyclass.monitoring.settings import LOOP_PROMOTION
from skyclass.survey.features import Mode
from skyclass.training.reports.plots import to_svg


def test_the_loop_keeps_the_accuracy_that_the_baseline_loses(real_rows: Path) -> None:
    mode = Mode.PHOTOMETRIC
    rows = read_labelled_observations(real_rows, mode)
    steps = list(replay(rows.head(11_000), mode, LOOP_PROMOTION))  # reaches the BOSS survey
    before, after = steps[:3], steps[-2:]
    assert min(each.baseline_accuracy for each in before) > 0.85
    assert max(each.baseline_accuracy for each in after) < 0.70
    assert min(each.accuracy for each in after) > 0.82
    assert sum(each.is_promoted for each in steps) >= 2
    assert all(each.gate for each in steps if each.is_promoted)
    assert to_svg(draw_accuracy({mode: steps})).startswith("<svg")
    assert "promoted" in "".join(map(describe_step, steps))
    assert summarise(steps).startswith("without 7")
