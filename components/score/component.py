"""Scores one part of an input into the predictions table."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def score(part: dict, mode: str, accounting: dsl.Output[dsl.Metrics]) -> int:
    """Score one part of an input into the predictions table.

    Args:
        part: The input with its version, the release that answers, and which part it is.
        mode: `spectroscopic` or `photometric`.
        accounting: What became of every row that was read.

    Returns:
        How many objects this release had not answered before.
    """
    from skyclass.logs import start_logging
    from skyclass.scoring.steps import score_step
    from skyclass.settings import load_settings
    from skyclass.training.parameters import parse_mode

    start_logging()
    source, release, shard = part["source"], part["release"], part["shard"]
    done = score_step(load_settings(), source, parse_mode(mode), release, shard)
    for name in ("rows_in", "inserted", "updated", "duplicates", "incomplete"):
        accounting.log_metric(name, getattr(done, name))
    return done.inserted
