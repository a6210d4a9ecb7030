"""Who may become the champion."""

import pytest

from skyclass.registry.manifest import ClassScores, Evaluation
from skyclass.survey.features import Mode
from skyclass.training.gate import MIN_GAIN, Champion, judge


def evaluation(
    mode: Mode = Mode.SPECTROSCOPIC, qso_recall: float = 0.95, **scores: float
) -> Evaluation:
    fair = {"accuracy": 0.98, "macro_f1": 0.97, "log_loss": 0.1, "calibration_error": 0.01}
    classes = {
        name: ClassScores(precision=0.9, recall=recall, f1=0.9, support=100)
        for name, recall in (("GALAXY", 0.95), ("QSO", qso_recall), ("STAR", 0.95))
    }
    return Evaluation(
        mode=mode,
        split="random_holdout",
        rows=300,
        classes=classes,
        confusion=((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        **{**fair, **scores},
    )


def test_the_first_model_only_needs_the_floors() -> None:
    verdict = judge(evaluation(), champion=None)
    assert verdict.passed
    assert verdict.reason == "reaches every floor, and there is no champion yet"


@pytest.mark.parametrize(
    ("flaw", "named"),
    [
        ({"accuracy": 0.90}, "accuracy 0.900 < 0.93"),
        ({"macro_f1": 0.80}, "macro-F1 0.800 < 0.93"),
        ({"qso_recall": 0.5}, "QSO recall 0.500 < 0.75"),
        ({"calibration_error": 0.2}, "calibration error 0.200 > 0.05"),
    ],
)
def test_below_a_floor_it_is_refused_whatever_the_champion_does(
    flaw: dict[str, float], named: str
) -> None:
    poor_champion = Champion("c" * 64, evaluation(macro_f1=0.5))
    verdict = judge(evaluation(**flaw), poor_champion)
    assert not verdict.passed
    assert named in verdict.reason


def test_each_mode_has_floors_of_its_own() -> None:
    weak = {"accuracy": 0.86, "macro_f1": 0.82, "qso_recall": 0.8}
    assert not judge(evaluation(Mode.SPECTROSCOPIC, **weak), None).passed
    assert judge(evaluation(Mode.PHOTOMETRIC, **weak), None).passed


@pytest.mark.parametrize(
    ("gain", "passed"), [(2 * MIN_GAIN, True), (MIN_GAIN / 2, False), (0, False), (-0.01, False)]
)
def test_a_challenger_must_beat_the_champion_by_more_than_noise(gain: float, passed: bool) -> None:
    verdict = judge(evaluation(macro_f1=0.97 + gain), Champion("c" * 64, evaluation(macro_f1=0.97)))
    assert verdict.passed is passed
    assert verdict.champion == "c" * 64
    assert "on the same 300 hold-out rows" in verdict.reason
