"""The component `train`, called as KFP's executor calls it."""

from pathlib import Path

from kfp import dsl

from components.train.component import train
from skyclass.training.dataset import Dataset


def test_winner_scores_and_models_are_outputs(dataset: Dataset, tmp_path: Path) -> None:
    dataset.save(tmp_path / "dataset")
    model = dsl.Model(uri=str(tmp_path / "model"))
    search = dsl.Metrics(uri=str(tmp_path / "search"))
    rows = dsl.Dataset(uri=str(tmp_path / "dataset"))
    (winner,) = train.python_func(rows, "spectroscopic", "decision_tree,mlp", 0, 0, model, search)
    scores = search.metadata
    assert set(scores) == {"decision_tree_macro_f1", "mlp_macro_f1"}
    assert winner in ("decision_tree", "mlp")
    files = {file.name for file in Path(model.path).iterdir()}
    assert {"model.joblib", "model.onnx"} <= files
