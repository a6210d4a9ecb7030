"""Score one part of an input and store the predictions."""

from typing import NamedTuple

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def score(part: dict, mode: str, accounting: dsl.Output[dsl.Metrics]) -> NamedTuple(
    "Scored", inserted=int
):
    """Score one part of an input and store the predictions.

    Args:
        part: Pinned input, id of the release and shard, as returned by `plan`.
        mode: `spectroscopic` or `photometric`.
        accounting: Number of rows by outcome.

    Returns:
        Number of new predictions.
    """
    from skyclass.logs import start_step
    from skyclass.scoring.steps import score_step
    from skyclass.settings import load_settings
    from skyclass.training.parameters import parse_mode

    start_step()
    source, release, shard = part["source"], part["release"], part["shard"]
    done = score_step(load_settings(), source, parse_mode(mode), release, shard)
    for name in ("rows_in", "inserted", "updated", "duplicates", "incomplete"):
        accounting.log_metric(name, getattr(done, name))
    return (done.inserted,)
