"""Fixes what is scored by which release, and in how many parts."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def plan(source_uri: str, mode: str, release: str, shards: int) -> list[dict]:
    """Fix what is scored by which release, and in how many parts.

    Args:
        source_uri: The input: `table:`, or the address of a Delta table or of Parquet files.
        mode: `spectroscopic` or `photometric`.
        release: A release's id or the beginning of it, or `champion`.
        shards: In how many parts the input is scored side by side, at most.

    Returns:
        The parts, each with the input and its version, the release's id, and which part it is. One
        list of all that: over a named output among others KFP's local runner does not loop.
    """
    from skyclass.logs import start_logging
    from skyclass.scoring.steps import plan_step
    from skyclass.settings import load_settings
    from skyclass.training.parameters import parse_mode

    start_logging()
    made = plan_step(load_settings(), source_uri, parse_mode(mode), release, shards)
    common = {"source": made.source, "release": made.release}
    return [{**common, "shard": shard} for shard in made.shards]
