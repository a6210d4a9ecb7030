"""The gate of a training run, with logged traffic that is kept in memory."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmarks.replay.models import Model
from skyclass.registry.verdicts import GateVerdict
from skyclass.serving.inputs import is_outside_range
from skyclass.survey.features import INPUTS, make_features
from skyclass.survey.observation import most_probable_classes
from skyclass.training.evaluation import RANDOM_HOLDOUT, ChampionEvaluation, evaluate
from skyclass.training.gate import collect_checks, decide
from skyclass.training.parameters import PromotionPolicy
from skyclass.training.traffic import make_labelled_rows
from skyclass.training.traffic.disagreement import PredictedRows, check_disagreement, check_shares
from skyclass.training.traffic.limits import LOOKBACK

_LOOKBACK_WINDOWS = LOOKBACK.days


def check_gate(
    challenger: Model, champion: Model, log: Sequence[pd.DataFrame], policy: PromotionPolicy
) -> GateVerdict:
    """Check the gate on the hold-outs of the challenger and on the newest traffic.

    Time and memory of the models are not compared: both are of one algorithm.

    Args:
        challenger: The release to be promoted.
        champion: The current champion.
        log: Predictions of the champion, one frame per daily window, oldest first.
        policy: What the challenger needs to be promoted.
    """
    dataset = challenger.dataset
    held_out = dataset.random_holdout
    probabilities = champion.engine(dataset.features[held_out])
    on_holdout = ChampionEvaluation(
        champion.id,
        champion.dataset.summary,
        evaluate(dataset.labels[held_out], probabilities, dataset.mode, RANDOM_HOLDOUT),
        probabilities,
    )
    checks = collect_checks(dataset, challenger.evaluation, on_holdout, policy)
    labelled = make_labelled_rows(
        dataset, challenger.evaluation.random_probabilities, probabilities
    )
    traffic = _predict_traffic(challenger, pd.concat(log[-_LOOKBACK_WINDOWS:]))
    checks += check_disagreement(traffic, labelled, dataset.mode)
    checks += check_shares(traffic, labelled, dataset.mode)
    return decide(checks, challenger.evaluation.random, on_holdout)


def _predict_traffic(challenger: Model, logged: pd.DataFrame) -> PredictedRows:
    mode = challenger.dataset.mode
    inputs = logged[list(INPUTS[mode])].to_numpy(np.float64)
    return PredictedRows(
        challenger=most_probable_classes(challenger.engine(make_features(inputs, mode))),
        champion=logged["predicted"].to_numpy(object),
        r=logged["r"].to_numpy(np.float64),
        flagged=np.any(is_outside_range(inputs, mode), axis=1),
    )
