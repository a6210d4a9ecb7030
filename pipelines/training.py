"""The training pipeline: ingest, validate, train, evaluate, publish, in a straight line.

There are no conditions, because each branch costs another pod on KFP; `publish` applies the gate.
"""

from typing import NamedTuple

from kfp import dsl

from components.evaluate.component import evaluate
from components.ingest.component import ingest
from components.publish.component import publish
from components.train.component import train
from components.validate.component import validate
from pipelines.pods import Pod, configure_pod
from skyclass.training.parameters import DEFAULT_PROMOTION, PromotionPolicy

NAME = "skyclass-training"
CHOICES = {
    "mode": ["spectroscopic", "photometric"],
    "promotion": [str(policy) for policy in PromotionPolicy],
}
"""Accepted values of parameters: drop-downs in the run form."""

PODS = {
    "ingest": Pod(
        ("250m", "1"), ("512Mi", "2Gi"), timeout_seconds=3600, role="ingest", validates=True
    ),
    "validate": Pod(
        ("250m", "1"), ("512Mi", "2Gi"), timeout_seconds=1800, role="train", validates=True
    ),
    "train": Pod(("500m", "2"), ("1Gi", "4Gi"), timeout_seconds=4 * 3600),
    "evaluate": Pod(("250m", "1"), ("512Mi", "2Gi"), timeout_seconds=1800, role="train"),
    "publish": Pod(
        ("100m", "1"),
        ("384Mi", "1Gi"),
        timeout_seconds=1800,
        role="publish",
        signs=True,
        notifies=True,
    ),
}
"""Measured on 100,000 rows: 0.7 GB in `train`, at most 0.45 GB in the others."""


@dsl.pipeline(name=NAME, display_name="skyclass: train, evaluate and publish a classifier")
def training(
    candidates: str = "all",
    mode: str = "spectroscopic",
    newest_rows: int = 100_000,
    promotion: str = str(DEFAULT_PROMOTION),
    reason: str = "by hand",
    search_seconds: int = 5,
    seed: int = 0,
    source_uri: str = "simulated:?rows=10000&era=legacy&seed=0",
) -> NamedTuple("Published", release_id=str, promoted=bool, verdict=str, waits_for_approval=bool):
    """Train a classifier of SDSS objects on a source and the observations table.

    Args:
        candidates: Algorithms to compare: `all`, or some of decision_tree, forest_and_boosting,
            hist_gradient_boosting, mlp, random_forest and svc, separated by commas.
        mode: Inputs of the model: `spectroscopic` with the redshift, `photometric` without.
        newest_rows: Maximum number of rows to train on, the newest nights first; more than
            1,000,000 are sampled.
        promotion: `if_better` promotes a release that is better than the champion and nowhere
            worse; `if_not_worse` also one that is only trained on newer data and nowhere worse;
            `approve` lets every one that is nowhere worse wait until a person approves it; `never`
            only publishes it.
        reason: Reason for the run; stored with the promotion.
        search_seconds: Budget in seconds to compare settings of the candidates; 0 compares the
            default and the smaller settings only.
        seed: Seed of all random numbers.
        source_uri: Observations to ingest first: `simulated:?rows=…&era=legacy,boss,eboss&seed=…`,
            the http(s):// or s3:// address of a file (CSV, Parquet, FITS, VOTable, …), or `table:`
            for nothing new.
    """
    # Not cached: steps with side effects, or inputs outside KFP's cache key, such as the champion
    # in `evaluate`. `validate` takes the table's id, or a new store would get rows of an old one,
    # and the id of the limits, or changed limits would not apply to rows that met the old ones.
    # `ingest` always runs, so that it can check all parameters without another pod and without
    # invalidating a cache entry; the other steps' keys have only the parameters that they use.
    ingested = configure_pod(
        ingest(
            source_uri=source_uri,
            candidates=candidates,
            mode=mode,
            newest_rows=newest_rows,
            promotion=promotion,
            reason=reason,
            search_seconds=search_seconds,
            seed=seed,
        ),
        PODS["ingest"],
    ).set_caching_options(False)
    validated = configure_pod(
        validate(
            table_id=ingested.outputs["table_id"],
            table_version=ingested.outputs["table_version"],
            mode=mode,
            newest_rows=newest_rows,
            limits_id=ingested.outputs["limits_id"],
        ),
        PODS["validate"],
    )
    rows = validated.outputs["dataset"]
    trained = configure_pod(
        train(
            dataset=rows,
            mode=mode,
            candidates=candidates,
            search_seconds=search_seconds,
            seed=seed,
        ),
        PODS["train"],
    )
    model = trained.outputs["model"]
    evaluated = configure_pod(
        evaluate(dataset=rows, model=model, mode=mode, promotion=promotion, seed=seed),
        PODS["evaluate"],
    ).set_caching_options(False)
    published = configure_pod(
        publish(
            dataset=rows,
            model=model,
            evaluation=evaluated.outputs["evaluation"],
            mode=mode,
            promotion=promotion,
            reason=reason,
            run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        ),
        PODS["publish"],
    ).set_caching_options(False)
    return NamedTuple(
        "Published", release_id=str, promoted=bool, verdict=str, waits_for_approval=bool
    )(
        published.outputs["release_id"],
        published.outputs["promoted"],
        published.outputs["verdict"],
        published.outputs["waits_for_approval"],
    )
