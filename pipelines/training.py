"""The training pipeline: ingest, validate, train, evaluate, publish, in a straight line.

There are no conditions: on KFP each branch costs another pod, and the gate is decided in `publish`.
"""

from typing import NamedTuple

from kfp import dsl

from components.evaluate.component import evaluate
from components.ingest.component import ingest
from components.publish.component import publish
from components.train.component import train
from components.validate.component import validate

NAME = "skyclass-training"
CHOICES = {
    "mode": ["spectroscopic", "photometric"],
    "promotion": ["if_better", "never"],
}
"""Parameters with closed choices: a drop-down in the run form."""


@dsl.pipeline(name=NAME, display_name="skyclass: train, judge and publish a classifier")
def training(
    candidates: str = "all",
    mode: str = "spectroscopic",
    newest_rows: int = 100_000,
    promotion: str = "if_better",
    reason: str = "by hand",
    seed: int = 0,
    source_uri: str = "simulated:?rows=10000&era=legacy&seed=0",
) -> NamedTuple("Published", release_id=str, promoted=bool, verdict=str):
    """Train a classifier of SDSS objects on what a source and the observations table hold.

    Args:
        candidates: `all`, or names joined by commas: decision_tree, hist_gradient_boosting, mlp,
            random_forest, svc.
        mode: `spectroscopic` sees the redshift, `photometric` does not.
        newest_rows: Train on at most so many rows, the newest nights first.
        promotion: `if_better` makes the release champion when the gate lets it pass; `never` only
            publishes it.
        reason: Why this run was started; kept with the promotion.
        seed: Makes the run repeatable.
        source_uri: simulated:?rows=…&era=legacy,boss,eboss&seed=…, the http(s):// or s3:// address
            of a CSV or Parquet file, or table: to train on what has been ingested already.
    """
    ingested = ingest(source_uri=source_uri).set_caching_options(False)
    rows = validate(
        table_version=ingested.outputs["Output"], mode=mode, newest_rows=newest_rows
    ).outputs["dataset"]
    model = (
        train(dataset=rows, mode=mode, candidates=candidates, seed=seed)
        # Gradient boosting on shared cores is many times slower with a thread per core.
        .set_env_variable("OMP_NUM_THREADS", "1")
        .outputs["model"]
    )
    # Not cached: the champion that it compares with changes, and KFP's cache cannot see that.
    judged = evaluate(dataset=rows, model=model, mode=mode, seed=seed).set_caching_options(False)
    published = publish(
        dataset=rows,
        model=model,
        evaluation=judged.outputs["evaluation"],
        mode=mode,
        promotion=promotion,
        reason=reason,
        run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
    ).set_caching_options(False)
    return NamedTuple("Published", release_id=str, promoted=bool, verdict=str)(
        published.outputs["release_id"],
        published.outputs["promoted"],
        published.outputs["verdict"],
    )
