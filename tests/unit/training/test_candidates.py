"""A new candidate needs one entry in `CANDIDATES`: search, fit, export and evaluation use it."""

from pathlib import Path

import joblib
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from skyclass.registry.releases import JOBLIB_MODEL
from skyclass.training import candidates
from skyclass.training.candidates import Candidate
from skyclass.training.dataset import Dataset
from skyclass.training.evaluation import evaluate_models
from skyclass.training.fit import fit
from skyclass.training.fitted_models import load_fitted_models
from skyclass.training.steps.train import train_step


def test_toy_candidate_is_searched_fitted_exported_and_evaluated(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(candidates.CANDIDATES, "naive_bayes", Candidate(lambda seed: GaussianNB()))
    dataset.save(tmp_path / "dataset")
    summary = train_step(
        tmp_path / "dataset", dataset.mode, "naive_bayes", 0, 0, tmp_path / "models"
    )
    assert [score.candidate for score in summary.search.scores] == ["naive_bayes"]
    assert summary.search.winner == "naive_bayes"
    assert summary.parity.passed
    evaluation = evaluate_models(dataset, load_fitted_models(tmp_path / "models"))
    assert evaluation.random.accuracy > 0.8


def test_a_candidate_with_a_limit_is_fitted_on_a_sample(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = Candidate(
        lambda seed: DecisionTreeClassifier(max_depth=4, random_state=seed),
        calibrations=(),
        max_rows=100,
    )
    monkeypatch.setitem(candidates.CANDIDATES, "small_tree", tree)
    fit(dataset, ["small_tree"], seed=0, folder=tmp_path)
    model = joblib.load(tmp_path / JOBLIB_MODEL)
    assert model.tree_.n_node_samples[0] == 100
