"""The floors of each mode, and the comparison with the champion."""

import pytest

from skyclass.registry.manifest import ClassScores, Evaluation
from skyclass.survey.features import Mode
from skyclass.training.gate import MIN_MACRO_F1_GAIN, ChampionEvaluation, check_gate


def make_evaluation(
    mode: Mode = Mode.SPECTROSCOPIC, qso_recall: float = 0.95, **metrics: float
) -> Evaluation:
    passing = {"accuracy": 0.98, "macro_f1": 0.97, "log_loss": 0.1, "calibration_error": 0.01}
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
        **{**passing, **metrics},
    )


def make_champion(macro_f1: float) -> ChampionEvaluation:
    return ChampionEvaluation("c" * 64, make_evaluation(macro_f1=macro_f1))


def test_first_model_needs_only_the_floors() -> None:
    verdict = check_gate(make_evaluation(), champion=None)
    assert verdict.passed
    assert verdict.reason == "reaches every floor, and there is no champion yet"


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"accuracy": 0.90}, "accuracy 0.900 < 0.93"),
        ({"macro_f1": 0.80}, "macro-F1 0.800 < 0.93"),
        ({"qso_recall": 0.5}, "QSO recall 0.500 < 0.75"),
        ({"calibration_error": 0.2}, "calibration error 0.200 > 0.05"),
    ],
)
def test_model_below_a_floor_fails_even_if_it_beats_the_champion(
    metrics: dict[str, float], message: str
) -> None:
    verdict = check_gate(make_evaluation(**metrics), make_champion(macro_f1=0.5))
    assert not verdict.passed
    assert message in verdict.reason


def test_each_mode_has_its_own_floors() -> None:
    weak = {"accuracy": 0.86, "macro_f1": 0.82, "qso_recall": 0.8}
    assert not check_gate(make_evaluation(Mode.SPECTROSCOPIC, **weak), None).passed
    assert check_gate(make_evaluation(Mode.PHOTOMETRIC, **weak), None).passed


@pytest.mark.parametrize(
    ("gain", "passed"),
    [(2 * MIN_MACRO_F1_GAIN, True), (MIN_MACRO_F1_GAIN / 2, False), (0, False), (-0.01, False)],
)
def test_challenger_must_beat_the_champion_by_the_minimum_gain(gain: float, passed: bool) -> None:
    verdict = check_gate(make_evaluation(macro_f1=0.97 + gain), make_champion(macro_f1=0.97))
    assert verdict.passed is passed
    assert verdict.champion == "c" * 64
    assert "on the same 300 hold-out rows" in verdict.reason
