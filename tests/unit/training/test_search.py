"""Selection of the candidate to fit."""

import pytest

from skyclass.errors import TrainingError
from skyclass.training.candidates import CANDIDATES, parse_candidates
from skyclass.training.dataset import Dataset
from skyclass.training.results import CandidateScore, SearchResult
from skyclass.training.search import search

pytestmark = pytest.mark.slow


def make_score(
    name: str, macro_f1: float, log_loss: float, deviation: float = 0.01
) -> CandidateScore:
    return CandidateScore(
        candidate=name, macro_f1=macro_f1, deviation=deviation, log_loss=log_loss, seconds=1
    )


def test_best_macro_f1_wins() -> None:
    scores = (make_score("a", 0.97, 0.5), make_score("b", 0.95, 0.1))
    assert SearchResult(scores=scores, rows=100).winner == "a"


def test_tie_within_a_standard_error_is_decided_by_log_loss() -> None:
    scores = (make_score("a", 0.970, 0.5), make_score("b", 0.967, 0.1))
    assert SearchResult(scores=scores, rows=100).winner == "b"


def test_search_is_reproducible(dataset: Dataset) -> None:
    names = ["decision_tree", "mlp"]
    first, second = (search(dataset.features, dataset.labels, names, seed=1) for _ in range(2))
    assert [s.macro_f1 for s in first.scores] == [s.macro_f1 for s in second.scores]
    assert first.scores[0].macro_f1 >= first.scores[1].macro_f1


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
