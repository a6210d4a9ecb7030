"""Replay of the endpoint's traffic with a challenger, before it may be promoted."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import joblib
import numpy as np
import numpy.typing as npt
import pytest
from sklearn.dummy import DummyClassifier

from skyclass.errors import TrainingError
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.models import LoadedModel, download_model
from skyclass.registry.releases import JOBLIB_MODEL, ONNX_MODEL, Registry, Release
from skyclass.registry.verdicts import Check, Outcome
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import FEATURES, INPUTS, Mode
from skyclass.survey.observation import Era, most_probable_classes
from skyclass.training.dataset import Dataset
from skyclass.training.parameters import PromotionPolicy
from skyclass.training.steps.evaluate import evaluate_step
from skyclass.training.traffic import Challenger, limits, make_labelled_rows, replay_traffic
from skyclass.training.traffic.disagreement import (
    FLAGGED,
    PredictedRows,
    check_disagreement,
    check_shares,
)
from skyclass.training.traffic.engines import check_latency, check_memory, measure_memory
from tests.support.monitoring import END, draw_observations, make_log_rows, write_log_rows
from tests.support.scoring import publish_tree

MODE = Mode.SPECTROSCOPIC
NOW = END + timedelta(hours=1)

NO_CHALLENGER = Challenger(Path("none"), FEATURES[MODE])
"""Its file does not exist: it must not be loaded."""


def find_reviews(checks: Sequence[Check]) -> list[str]:
    """Return the subjects of the checks that make a release wait."""
    assert {check.group for check in checks} == {"traffic"}
    assert Outcome.FAILED not in {check.outcome for check in checks}
    return [check.subject for check in checks if check.outcome is Outcome.REVIEW]


@pytest.fixture
def champion(store: ObjectStore, tmp_path: Path) -> Release:
    return publish_tree(store, tmp_path / "champion", MODE, memory=2_000_000)


@pytest.fixture
def served(store: ObjectStore, champion: Release) -> LoadedModel:
    return download_model(Registry(store), champion)


@pytest.fixture
def labelled(dataset: Dataset) -> PredictedRows:
    """Labelled rows on which both models agree."""
    right = np.eye(3)[np.unique(dataset.labels[dataset.random_holdout], return_inverse=True)[1]]
    return make_labelled_rows(dataset, right, right)


def log_predictions(
    store: ObjectStore, champion: Release, rows: int, age: timedelta = timedelta(0)
) -> None:
    """Log predictions of the champion for rows of the day before NOW, or of another day."""
    observations = draw_observations(Era.LEGACY, rows, seed=5)
    logged = make_log_rows(observations, champion.id)
    model = download_model(Registry(store), champion)
    inputs = logged[list(INPUTS[MODE])].to_numpy()
    logged["predicted"] = most_probable_classes(model.predict_probabilities(inputs))
    write_log_rows(store, logged.assign(time=logged["time"] - age))


def test_challenger_that_predicts_like_the_champion_passes(
    store: ObjectStore,
    champion: Release,
    served: LoadedModel,
    labelled: PredictedRows,
    tmp_path: Path,
) -> None:
    log_predictions(store, champion, 600)
    file = tmp_path / "champion" / ONNX_MODEL
    challenger = Challenger(file, FEATURES[MODE], memory=3_000_000)
    checks = replay_traffic(store, served, challenger, labelled, seed=0, now=NOW)
    assert find_reviews(checks) == []
    shares = {check.subject: check for check in checks}
    assert shares["disagreement with the champion, all rows"].challenger == 0
    assert shares["disagreement with the champion, all rows"].rows == 600
    assert "time to predict 100 rows (ms)" in shares
    assert "memory of the model (MB)" in shares


def test_challenger_that_predicts_one_class_waits(
    store: ObjectStore,
    champion: Release,
    served: LoadedModel,
    labelled: PredictedRows,
    tmp_path: Path,
) -> None:
    log_predictions(store, champion, 600)
    always_star = DummyClassifier(strategy="constant", constant="STAR")
    joblib.dump(
        always_star.fit(np.zeros((3, 6)), ["GALAXY", "QSO", "STAR"]), tmp_path / JOBLIB_MODEL
    )
    challenger = Challenger(tmp_path / JOBLIB_MODEL, FEATURES[MODE])
    checks = replay_traffic(store, served, challenger, labelled, seed=0, now=NOW)
    reviews = find_reviews(checks)
    assert "disagreement with the champion, predicted GALAXY" in reviews
    assert "share of rows predicted as STAR" in reviews


@pytest.mark.parametrize("rows", [0, 10])
def test_too_few_rows_are_reported_and_pass(
    store: ObjectStore, champion: Release, served: LoadedModel, labelled: PredictedRows, rows: int
) -> None:
    if rows:
        log_predictions(store, champion, rows)
    (check,) = replay_traffic(store, served, NO_CHALLENGER, labelled, seed=0, now=NOW)
    assert (check.outcome, check.rows) == (Outcome.PASSED, rows)
    assert check.test == "at least 500 rows to compare"


def test_unreachable_log_is_one_warning(
    store: ObjectStore,
    served: LoadedModel,
    labelled: PredictedRows,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = store.settings.model_copy(update={"logs_bucket": "no-such-bucket"})
    (check,) = replay_traffic(
        ObjectStore(settings), served, NO_CHALLENGER, labelled, seed=0, now=NOW
    )
    assert (check.outcome, check.rows, check.test) == (
        Outcome.PASSED,
        0,
        "the log cannot be read",
    )
    (warning,) = caplog.messages
    assert warning.startswith("traffic is not replayed: s3://no-such-bucket/")


@pytest.mark.slow
def test_the_step_evaluate_replays_the_traffic_of_the_champion(
    store: ObjectStore, champion: Release, dataset: Dataset, models_folder: Path, tmp_path: Path
) -> None:
    LocalChampionStore(store).promote(champion, "for a test", "test")
    log_predictions(store, champion, 600, age=END - datetime.now(UTC) + timedelta(hours=1))
    dataset.save(tmp_path / "dataset")
    result = evaluate_step(
        store.settings,
        tmp_path / "dataset",
        models_folder,
        MODE,
        PromotionPolicy.APPROVE,
        seed=0,
        folder=tmp_path / "evaluation",
    )
    checks = [check for check in result.gate.checks if check.group == "traffic"]
    assert checks[0].subject == "disagreement with the champion, all rows"
    assert (checks[0].rows, checks[0].outcome) == (600, Outcome.PASSED)
    assert {"time to predict 1 row (ms)", "memory of the model (MB)"} <= {
        check.subject for check in checks
    }


def make_rows(size: int = 4_000) -> PredictedRows:
    """Return rows on which two models agree: a third of each class, r from 17 to 23."""
    random = np.random.default_rng(0)
    classes = random.choice(np.array(["GALAXY", "QSO", "STAR"], object), size)
    return PredictedRows(classes, classes, random.uniform(17, 23, size), np.zeros(size, bool))


def disagree(rows: PredictedRows, where: npt.NDArray[np.bool_]) -> PredictedRows:
    """Let the challenger predict another class for some rows, and the same shares."""
    swapped = {"GALAXY": "QSO", "QSO": "STAR", "STAR": "GALAXY"}
    other = np.array([swapped[name] for name in rows.champion], object)
    return replace(rows, challenger=np.where(where, other, rows.champion))


def test_disagreement_is_found_in_its_magnitude_bin() -> None:
    rows = make_rows()
    faint = (rows.r > 22) & (np.arange(len(rows.r)) % 5 == 0)
    checks = list(check_disagreement(disagree(rows, faint), rows, MODE))
    assert find_reviews(checks) == ["disagreement with the champion, r > 22"]


def test_disagreement_on_flagged_rows_is_found() -> None:
    rows = make_rows()
    flagged = np.arange(len(rows.r)) < 150
    traffic = disagree(replace(rows, flagged=flagged), flagged)
    checks = list(check_disagreement(traffic, rows, MODE))
    assert find_reviews(checks) == [f"disagreement with the champion, {FLAGGED}"]


def test_disagreement_that_the_gate_has_judged_passes() -> None:
    rows = make_rows()
    faint = (rows.r > 22) & (np.arange(len(rows.r)) % 5 == 0)
    labelled = disagree(rows, (rows.r > 22) & (np.arange(len(rows.r)) % 10 == 0))
    assert find_reviews(list(check_disagreement(disagree(rows, faint), labelled, MODE))) == []


def test_group_with_few_rows_is_not_checked() -> None:
    rows = make_rows()
    few = replace(rows, r=np.where(np.arange(len(rows.r)) < 99, 23.0, 19.0))
    subjects = [
        check.subject for check in check_disagreement(disagree(few, few.r > 22), rows, MODE)
    ]
    assert not any(subject.endswith(("r > 22", FLAGGED)) for subject in subjects)


def test_equal_models_rarely_wait() -> None:
    """Two photometric models that disagree on 12 % of the rows at random may be equally good."""
    mode, waiting = Mode.PHOTOMETRIC, 0
    for seed in range(200):
        rows = make_rows(1_000)
        random = np.random.default_rng(seed).random(len(rows.r)) < 0.12
        traffic = disagree(rows, random)
        checks = [*check_disagreement(traffic, rows, mode), *check_shares(traffic, rows, mode)]
        waiting += bool(find_reviews(checks))
    assert waiting == 0


@pytest.mark.parametrize(("moved", "reviewed"), [(0.03, False), (0.06, True)])
def test_shift_of_class_shares_is_limited(moved: float, reviewed: bool) -> None:
    rows = make_rows()
    to_star = np.arange(len(rows.r)) < moved * len(rows.r)
    traffic = replace(rows, challenger=np.where(to_star, "STAR", rows.champion))
    traffic = replace(traffic, champion=np.where(to_star, "QSO", rows.champion))
    subjects = find_reviews(list(check_shares(traffic, rows, MODE)))
    expected = ["share of rows predicted as QSO", "share of rows predicted as STAR"]
    assert subjects == (expected if reviewed else [])


def predict_at_once(features: npt.NDArray[np.float32], /) -> npt.NDArray[np.float64]:
    return np.full((len(features), 3), 1 / 3)


def predict_slowly(features: npt.NDArray[np.float32], /) -> npt.NDArray[np.float64]:
    time.sleep(0.03)
    return predict_at_once(features)


def test_slow_challenger_waits() -> None:
    features = np.ones((10, 6), np.float32)
    slow = list(check_latency((predict_slowly, features), (predict_at_once, features)))
    assert find_reviews(slow) == ["time to predict 1 row (ms)", "time to predict 100 rows (ms)"]
    assert all(check.challenger is not None and check.challenger >= 30 for check in slow)
    slow_champion = (predict_slowly, features[:, :5])
    assert find_reviews(list(check_latency((predict_slowly, features), slow_champion))) == []


def save_model(path: Path, megabytes: int) -> Path:
    """Save a classifier that occupies memory."""
    model = DummyClassifier().fit(np.zeros((3, 6)), ["GALAXY", "QSO", "STAR"])
    model.ballast_ = np.ones(megabytes * 125_000)
    path.parent.mkdir()
    joblib.dump(model, path, compress=1)
    return path


def test_large_challenger_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MEMORY_MB", 1)
    monkeypatch.setattr(limits, "ENGINE_RATIO", 1.2)  # both load scikit-learn
    large = save_model(tmp_path / "a" / JOBLIB_MODEL, 100)
    small = save_model(tmp_path / "b" / JOBLIB_MODEL, 1)
    check = check_memory(measure_memory(large, 6), measure_memory(small, 5))
    assert check.outcome is Outcome.REVIEW
    assert check.challenger is not None
    assert check.champion is not None
    assert 50 < check.challenger - check.champion < 150


def test_model_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    (tmp_path / ONNX_MODEL).write_bytes(b"no model")
    with pytest.raises(
        TrainingError, match=r"^the memory of model\.onnx cannot .*\(.*INVALID_PROTOBUF.*\): check"
    ):
        measure_memory(tmp_path / ONNX_MODEL, features=6)
