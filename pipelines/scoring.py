"""The scoring pipeline: fix what is scored by which release, then score its parts side by side."""

from kfp import dsl

from components.plan.component import plan
from components.score.component import score
from pipelines.pods import Pod, configure_pod

NAME = "skyclass-scoring"
CHOICES = {"mode": ["spectroscopic", "photometric"]}
"""Parameters with closed choices: a drop-down in the run form."""

PODS = {
    "plan": Pod(("100m", "1"), ("384Mi", "1Gi"), timeout_seconds=900, role="score"),
    "score": Pod(("250m", "1"), ("384Mi", "1Gi"), timeout_seconds=12 * 3600, role="score"),
}
"""What each step needs; the memory of `score` does not depend on the size of its part."""

_SIDE_BY_SIDE = 8
"""Parts that are scored at the same time; the others wait."""


@dsl.pipeline(name=NAME, display_name="skyclass: score a table")
def scoring(
    mode: str = "spectroscopic",
    release: str = "champion",
    shards: int = 1,
    source_uri: str = "table:",
):
    """Answer for each object of a table once, by one release, into the predictions table.

    Args:
        mode: `spectroscopic` sees the redshift, `photometric` does not.
        release: A release's id or the beginning of it, or `champion`.
        shards: In how many parts the input is scored, 1 to 64, each in a pod of its own.
        source_uri: What is scored: `table:` for what is new in the observations table, or the
            s3:// address of a Delta table, a Parquet file, or a folder of them.
    """
    # Not cached: both depend on what KFP's cache cannot see, the tables and the champion.
    planned = configure_pod(
        plan(source_uri=source_uri, mode=mode, release=release, shards=shards), PODS["plan"]
    ).set_caching_options(False)
    with dsl.ParallelFor(planned.output, parallelism=_SIDE_BY_SIDE) as part:
        configure_pod(score(part=part, mode=mode), PODS["score"]).set_caching_options(False)
