"""Search of the candidate and the settings to fit."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest

from skyclass.errors import TrainingError
from skyclass.registry.preference import ServingCost
from skyclass.training.candidates import CANDIDATES, Candidate, parse_candidates
from skyclass.training.dataset import Dataset
from skyclass.training.search import MAX_SETTINGS, search
from skyclass.training.search_result import SLOWER_RATIO, CandidateScore, SearchResult

pytestmark = pytest.mark.slow


def make_score(
    name: str, macro_f1: float, log_loss: float, deviation: float = 0.01
) -> CandidateScore:
    return CandidateScore(
        candidate=name, macro_f1=macro_f1, deviation=deviation, log_loss=log_loss, seconds=1
    )


def make_tied(name: str, milliseconds: float, size: int, loss: float = 0.1) -> CandidateScore:
    """A score with the same noise of the folds as all others, and with a measured cost."""
    noise = (0.02, -0.02, 0.01, -0.01, 0.0) if name == "a" else (-0.02, 0.02, 0.0, 0.01, -0.01)
    return make_score(name, 0.97, loss).model_copy(
        update={
            "fold_losses": tuple(loss + each for each in noise),
            "cost": ServingCost(milliseconds=milliseconds, size=size),
        }
    )


def make_clock(seconds_per_call: float) -> Callable[[], float]:
    ticks = count()
    return lambda: next(ticks) * seconds_per_call


def test_best_macro_f1_wins() -> None:
    scores = (make_score("a", 0.97, 0.5), make_score("b", 0.95, 0.1))
    assert SearchResult(scores=scores, rows=100).winner == "a"


def test_tie_within_a_standard_error_is_decided_by_log_loss() -> None:
    scores = (make_score("a", 0.970, 0.5), make_score("b", 0.967, 0.1))
    assert SearchResult(scores=scores, rows=100).winner == "b"


def test_search_with_enough_budget_is_reproducible(dataset: Dataset) -> None:
    first, second = (
        search(dataset.features, dataset.labels, ["decision_tree"], 1, 60) for _ in range(2)
    )
    assert len(first.tried) == MAX_SETTINGS
    assert [(s.settings, s.log_loss) for s in first.tried] == [
        (s.settings, s.log_loss) for s in second.tried
    ]
    assert first.selected.settings == second.selected.settings


def test_recorded_settings_differ_from_the_default_ones(dataset: Dataset) -> None:
    found = search(dataset.features, dataset.labels, ["decision_tree"], 2, 60)
    defaults = CANDIDATES["decision_tree"].make(1).get_params()
    default, *others = (score.settings for score in found.tried)
    assert default == {}
    for settings in others:
        assert settings
        assert all(defaults[name] != value for name, value in settings.items())


def test_other_seed_tries_other_settings(dataset: Dataset) -> None:
    first, second = (
        search(dataset.features, dataset.labels, ["decision_tree"], seed, 60) for seed in (1, 2)
    )
    assert [s.settings for s in first.tried] != [s.settings for s in second.tried]


def test_spent_budget_leaves_no_candidate_out(dataset: Dataset) -> None:
    names = ["decision_tree", "svc"]
    found = search(dataset.features, dataset.labels, names, seed=1, budget_seconds=0)
    assert [(score.candidate, score.settings) for score in found.tried] == [
        ("decision_tree", {}), ("svc", {}),
    ]  # fmt: skip
    assert {score.candidate for score in found.scores} == set(names)
    assert found.scores[0].macro_f1 >= found.scores[1].macro_f1


def test_no_settings_are_begun_after_the_budget(dataset: Dataset) -> None:
    clock = make_clock(seconds_per_call=4)
    found = search(dataset.features, dataset.labels, ["decision_tree"], 1, 10, clock)
    # The clock is read at the start, before each settings (4, 8 and 12 s) and at the end.
    assert [bool(score.settings) for score in found.tried] == [False, True, True]
    assert (found.budget_seconds, found.spent_seconds) == (10, 16)


def test_selected_score_is_one_of_those_that_were_tried(dataset: Dataset) -> None:
    found = search(dataset.features, dataset.labels, ["decision_tree"], 1, 60)
    assert found.selected in found.tried
    assert found.count_tried("decision_tree") == MAX_SETTINGS
    assert found.selected.cost is not None


def test_of_tied_models_the_smallest_is_selected_and_the_reason_recorded() -> None:
    best, small = make_tied("a", 9, 900, loss=0.100), make_tied("b", 3, 500, loss=0.105)
    found = SearchResult(scores=(best, small), rows=100)
    assert found.selected == small
    preference = found.preference
    assert preference is not None
    assert (preference.candidate, preference.cost, preference.other_cost) == (
        "a", small.cost, best.cost,
    )  # fmt: skip
    assert preference.loss == pytest.approx(0.005)
    assert preference.loss <= preference.loss_error


@pytest.mark.parametrize(
    ("best", "small", "winner"),
    [(4, 4 * SLOWER_RATIO, "b"), (4, 4.1 * SLOWER_RATIO, "a"), (0.1, 0.9, "b")],
    ids=["equally fast", "slower", "both take no time"],
)
def test_smaller_model_that_is_slower_is_not_preferred(
    best: float, small: float, winner: str
) -> None:
    scores = make_tied("a", best, 900), make_tied("b", small, 100, loss=0.105)
    assert SearchResult(scores=scores, rows=100).winner == winner


def test_loss_beyond_its_standard_error_is_no_tie() -> None:
    best, fast = make_tied("a", 9, 900, loss=0.10), make_tied("b", 1, 100, loss=0.13)
    loss, error = fast.compare_loss(best)
    assert loss > error
    found = SearchResult(scores=(best, fast), rows=100)
    assert (found.selected, found.preference) == (best, None)


def test_worse_classes_are_no_tie() -> None:
    best = make_tied("a", 9, 900)
    fast = make_tied("b", 1, 100).model_copy(update={"macro_f1": 0.96})
    assert SearchResult(scores=(best, fast), rows=100).winner == "a"


def test_smaller_forest_that_is_tied_is_selected_without_a_budget(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    forest = CANDIDATES["random_forest"]
    smaller = {"n_estimators": 80, "max_leaf_nodes": 40}
    monkeypatch.setitem(CANDIDATES, "random_forest", replace(forest, smaller=smaller))
    found = search(dataset.features, dataset.labels, ["random_forest"], 1, budget_seconds=0)
    default, fast = found.tried
    assert (default.settings, fast.settings) == ({}, smaller)
    loss, error = fast.compare_loss(default)
    assert loss <= error
    assert found.selected == fast
    assert fast.cost is not None


def test_candidate_far_behind_is_not_searched_further(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = CANDIDATES["decision_tree"].make(0, {"min_samples_leaf": 700})
    worse = Candidate(lambda seed: tree, {"max_leaf_nodes": (2, 3)})
    monkeypatch.setitem(CANDIDATES, "worse", worse)
    found = search(dataset.features, dataset.labels, ["worse", "decision_tree"], 1, 60)
    assert (found.count_tried("worse"), found.count_tried("decision_tree")) == (1, MAX_SETTINGS)


def test_result_without_settings_is_read() -> None:
    text = (
        '{"scores": [{"candidate": "svc", "macro_f1": 0.9, "deviation": 0.1, "log_loss": 1, '
        '"seconds": 1}], "rows": 10}'
    )
    found = SearchResult.model_validate_json(text)
    assert (found.winner, found.selected.settings, found.tried) == ("svc", {}, ())


@pytest.mark.parametrize("name", CANDIDATES)
def test_every_value_of_a_space_is_a_setting_of_the_model(name: str) -> None:
    candidate = CANDIDATES[name]
    assert candidate.space
    for setting, values in candidate.space.items():
        for value in values:
            model = candidate.make(0, {setting: value})
            assert model.get_params()[setting] == value


def test_settings_keep_their_type_when_they_are_stored() -> None:
    stored = make_score("a", 1, 1).model_copy(update={"settings": {"leaves": 3, "share": 0.5}})
    read = CandidateScore.model_validate_json(stored.model_dump_json())
    assert [type(value) for value in read.settings.values()] == [int, float]


@pytest.mark.parametrize(
    ("text", "names"),
    [("all", tuple(CANDIDATES)), ("mlp", ("mlp",)), (" svc , mlp", ("svc", "mlp"))],
)
def test_candidates_are_parsed_with_and_without_spaces(text: str, names: tuple[str, ...]) -> None:
    assert parse_candidates(text) == names


@pytest.mark.parametrize("text", ["", "forest", "mlp,,svc"])
def test_unknown_candidate_is_named_in_the_error(text: str) -> None:
    with pytest.raises(TrainingError, match=r"unknown candidate .*choose from decision_tree"):
        parse_candidates(text)
