"""Replay of the endpoint's traffic: what a challenger predicts for requests of the last days.

The champion's predictions are in the log, so its endpoint is not called. Beyond a limit, a check
has the outcome `review`, and the release waits for an approval.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from skyclass.errors import StoreError
from skyclass.registry.models import LoadedModel, load_engine
from skyclass.registry.verdicts import Check, Outcome
from skyclass.serving.inputs import is_outside_range
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.dust import DustMap, fill_extinction
from skyclass.survey.features import ALL_INPUTS, Mode, make_features
from skyclass.survey.observation import most_probable_classes
from skyclass.tables.log.sample import sample_log
from skyclass.training.dataset import Dataset
from skyclass.training.traffic import limits
from skyclass.training.traffic.disagreement import (
    GROUP,
    PredictedRows,
    check_disagreement,
    check_shares,
)
from skyclass.training.traffic.engines import (
    check_latency,
    check_memory,
    find_served_file,
    measure_memory,
)

__all__ = [
    "Challenger",
    "find_served_file",
    "make_labelled_rows",
    "measure_memory",
    "replay_traffic",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Challenger:
    """A model that would be served.

    Attributes:
        file: The model file.
        features: Its features, in order.
        dust_map: Map for rows with a position and without an extinction, if it needs one.
        memory: Result of `measure_memory` (bytes); None if it could not be measured.
    """

    file: Path
    features: tuple[str, ...]
    dust_map: DustMap | None = None
    memory: int | None = None

    def compute_features(
        self, inputs: npt.NDArray[np.float64], mode: Mode
    ) -> npt.NDArray[np.float32]:
        """Compute its features, shape (n, len(features)), from all inputs of a mode."""
        return make_features(fill_extinction(inputs, mode, self.dust_map), mode, self.features)


def replay_traffic(
    store: ObjectStore,
    champion: LoadedModel,
    challenger: Challenger,
    labelled: PredictedRows,
    seed: int,
    now: datetime,
) -> list[Check]:
    """Predict logged requests with a challenger, and compare it with the champion.

    Without enough rows, or if the log cannot be read, one passed check says so.

    Args:
        store: The object store, with the log.
        champion: The current champion.
        challenger: The model that would be served.
        labelled: Predictions of both models for the random hold-out.
        seed: Selects the rows.
        now: The current time.
    """
    release = champion.release
    mode = release.mode
    try:
        logged = sample_log(
            store, now - limits.LOOKBACK, now, mode, release.id, limits.MAX_ROWS, seed
        )
    except StoreError as error:
        logger.warning("traffic is not replayed: %s", error)
        return [_explain_missing(0, "the log cannot be read")]
    if len(logged) < limits.MIN_ROWS:
        return [_explain_missing(len(logged), f"at least {limits.MIN_ROWS} rows to compare")]
    inputs = logged[list(ALL_INPUTS[mode])].to_numpy(np.float64)
    features = challenger.compute_features(inputs, mode)
    engine = load_engine(challenger.file)
    logger.info("replaying %d logged rows", len(logged))
    traffic = PredictedRows(
        challenger=most_probable_classes(engine(features)),
        champion=logged["predicted"].to_numpy(object),
        r=logged["r"].to_numpy(np.float64),
        flagged=np.any(is_outside_range(inputs, mode), axis=1),
    )
    checks = [
        *check_disagreement(traffic, labelled, mode),
        *check_shares(traffic, labelled, mode),
    ]
    of_champion = champion.compute_features(inputs)
    checks += check_latency((engine, features), (champion.engine, of_champion))
    if challenger.memory is not None and release.manifest.memory is not None:
        checks.append(check_memory(challenger.memory, release.manifest.memory))
    return checks


def make_labelled_rows(
    dataset: Dataset,
    challenger: npt.NDArray[np.float64],
    champion: npt.NDArray[np.float64],
) -> PredictedRows:
    """Return the predictions of both models for the random hold-out.

    Args:
        dataset: The dataset of the run.
        challenger: Probabilities of the challenger for its random hold-out, shape (n, 3).
        champion: Probabilities of the champion for the same rows.
    """
    held_out = dataset.random_holdout
    return PredictedRows(
        challenger=most_probable_classes(challenger),
        champion=most_probable_classes(champion),
        r=dataset.rows["r"].to_numpy(np.float64)[held_out],
        flagged=np.any(is_outside_range(dataset.inputs[held_out], dataset.mode), axis=1),
    )


def _explain_missing(rows: int, need: str) -> Check:
    return Check(
        group=GROUP,
        subject="logged predictions of the champion",
        test=need,
        rows=rows,
        outcome=Outcome.PASSED,
    )
