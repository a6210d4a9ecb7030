"""Compare candidate algorithms by cross-validation and fit the best."""

from typing import NamedTuple

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train(
    dataset: dsl.Input[dsl.Dataset],
    mode: str,
    candidates: str,
    search_seconds: int,
    seed: int,
    model: dsl.Output[dsl.Model],
    search: dsl.Output[dsl.Metrics],
) -> NamedTuple("Trained", winner=str):
    """Compare candidate algorithms by cross-validation and fit the best.

    Args:
        dataset: Training rows and hold-outs.
        mode: `spectroscopic` or `photometric`.
        candidates: Names separated by commas, or `all`.
        search_seconds: Budget of the search for settings beyond the default ones.
        seed: Seed of the search and the fits.
        model: Folder with the fitted model as joblib and ONNX.
        search: Cross-validated macro-F1 of each candidate.

    Returns:
        Name of the best candidate.
    """
    from pathlib import Path

    from skyclass.logs import start_step
    from skyclass.training.parameters import parse_mode
    from skyclass.training.steps.train import train_step

    start_step()
    fitted = train_step(
        Path(dataset.path), parse_mode(mode), candidates, search_seconds, seed, Path(model.path)
    )
    for score in fitted.search.scores:
        search.log_metric(f"{score.candidate}_macro_f1", score.macro_f1)
    return (fitted.search.winner,)
