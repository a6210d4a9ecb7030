"""Searches among candidate algorithms and fits the winner."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train(
    dataset: dsl.Input[dsl.Dataset],
    mode: str,
    candidates: str,
    seed: int,
    model: dsl.Output[dsl.Model],
    search: dsl.Output[dsl.Metrics],
) -> str:
    """Search among candidate algorithms and fit the winner.

    Args:
        dataset: The rows to train on.
        mode: `spectroscopic` or `photometric`.
        candidates: Names joined by commas, or `all`.
        seed: Makes the search and the fits repeatable.
        model: The fitted model as joblib and ONNX, in a folder.
        search: Cross-validated macro-F1 of each candidate.

    Returns:
        The winner's name.
    """
    from pathlib import Path

    from skyclass.logs import start_logging
    from skyclass.training.parameters import parse_mode
    from skyclass.training.steps.train import train_step

    start_logging()
    fitted = train_step(Path(dataset.path), parse_mode(mode), candidates, seed, Path(model.path))
    for score in fitted.search.scores:
        search.log_metric(f"{mode}_macro_f1_{score.candidate}", score.macro_f1)
    return fitted.search.winner
