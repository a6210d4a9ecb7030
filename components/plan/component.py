"""Pin the input and the release of a scoring run, and split the input into parts."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def plan(source_uri: str, mode: str, release: str, shards: int) -> list[dict]:
    """Pin the input and the release of a scoring run, and split the input into parts.

    Args:
        source_uri: `table:`, or the address of a Delta table or of Parquet files.
        mode: `spectroscopic` or `photometric`.
        release: Id of a release, a unique prefix of it, or `champion`.
        shards: Maximum number of parts.

    Returns:
        The parts, each with the pinned input, the id of the release and its shard. A single output,
        because KFP's local runner cannot loop over one of several.
    """
    from skyclass.logs import start_step
    from skyclass.scoring.steps import plan_step
    from skyclass.settings import load_settings
    from skyclass.training.parameters import parse_mode

    start_step()
    made = plan_step(load_settings(), source_uri, parse_mode(mode), release, shards)
    common = {"source": made.source, "release": made.release}
    return [{**common, "shard": shard} for shard in made.shards]
