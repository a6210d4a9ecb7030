"""Real rows in the order of their nights: the loop holds accuracy when the survey moves on."""

from pathlib import Path

from benchmarks.replay import figure, observations, replay
from skyclass.monitoring.decisions import Action
from skyclass.survey.features import Mode
from skyclass.training.reports.plots import to_svg


def test_the_loop_recovers_what_a_model_that_stays_has_lost(real_rows: Path) -> None:
    mode = Mode.PHOTOMETRIC
    steps = list(replay(observations(real_rows, mode).head(11_000), mode))  # into the BOSS survey
    before, after = steps[:3], steps[-2:]
    assert min(each.frozen for each in before) > 0.85
    assert max(each.frozen for each in after) < 0.70
    assert min(each.looped for each in after) > 0.82
    # What moved it: runs that lasting drift began and the gate let pass.
    assert sum(each.promoted for each in steps) >= 2
    assert all(each.action is Action.RETRAIN for each in steps if each.promoted)
    assert to_svg(figure({mode: steps})).startswith("<svg")
