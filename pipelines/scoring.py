"""The scoring pipeline: pin the input and the release, then score the parts in parallel."""

from kfp import dsl

from components.plan.component import plan
from components.score.component import score
from pipelines.pods import Pod, configure_pod

NAME = "skyclass-scoring"
CHOICES = {"mode": ["spectroscopic", "photometric"]}
"""Accepted values of parameters: drop-downs in the run form."""

PODS = {
    "plan": Pod(("100m", "1"), ("384Mi", "1Gi"), timeout_seconds=900, role="score"),
    "score": Pod(("250m", "1"), ("384Mi", "1Gi"), timeout_seconds=12 * 3600, role="score"),
}
"""The memory of `score` does not depend on the size of its part."""

_PARALLELISM = 8
"""Parts that are scored at the same time."""


@dsl.pipeline(name=NAME, display_name="skyclass: score a table")
def scoring(
    mode: str = "spectroscopic",
    release: str = "champion",
    shards: int = 1,
    source_uri: str = "table:",
):
    """Classify each object of a table once with a release, and store the predictions.

    Args:
        mode: Inputs of the model: `spectroscopic` with the redshift, `photometric` without.
        release: Id of a release, a unique prefix of it, or `champion`.
        shards: Number of parts, 1 to 64, each scored in its own pod.
        source_uri: Objects to score: `table:` for new rows of the observations table, or the s3://
            address of a Delta table, a Parquet file, or a folder of them.
    """
    # Not cached: both read tables and the champion, which KFP's cache key does not contain.
    planned = configure_pod(
        plan(source_uri=source_uri, mode=mode, release=release, shards=shards), PODS["plan"]
    ).set_caching_options(False)
    with dsl.ParallelFor(planned.output, parallelism=_PARALLELISM) as part:
        configure_pod(score(part=part, mode=mode), PODS["score"]).set_caching_options(False)
