"""The models that `fit` has written; separate, so that reading them does not import the export."""

from dataclasses import dataclass
from pathlib import Path

import joblib

from skyclass.registry.models import Engine, make_joblib_engine
from skyclass.registry.releases import JOBLIB_MODEL
from skyclass.training.results import FitSummary

TEMPORAL_MODEL = "temporal.joblib"


@dataclass(frozen=True)
class FittedModels:
    """Models read back from the folder that `fit` wrote.

    Attributes:
        summary: Outcome of the search, the calibration and the ONNX parity check.
        release: Fitted on all rows but the random hold-out.
        temporal: The same algorithm fitted on the older nights only. None if these nights have too
            few rows of a class.
    """

    summary: FitSummary
    release: Engine
    temporal: Engine | None


def load_fitted_models(folder: Path) -> FittedModels:
    """Load the models that `fit` wrote."""
    temporal = folder / TEMPORAL_MODEL
    return FittedModels(
        summary=FitSummary.load(folder),
        release=make_joblib_engine(joblib.load(folder / JOBLIB_MODEL)),
        temporal=make_joblib_engine(joblib.load(temporal)) if temporal.exists() else None,
    )
