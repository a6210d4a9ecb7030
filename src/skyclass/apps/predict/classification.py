"""Classification of one object with the predictors of both modes."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pandas as pd

from skyclass.client import UNCERTAIN, Client, RowError
from skyclass.errors import ServingError
from skyclass.survey.features import ALL_INPUTS, INPUTS, MAGNITUDES, OPTIONAL_INPUTS, Mode
from skyclass.survey.observation import CLASSES
from skyclass.tables.log.schema import PROBABILITIES

Clients = Mapping[Mode, Client]


@dataclass(frozen=True)
class Prediction:
    """Prediction for one object.

    Attributes:
        mode: Mode of the model.
        predicted: Class with the highest probability.
        probabilities: Probability of each class.
        model_version: ID of the release.
        flags: Inputs outside their usual range; empty if there are none.
        inputs: What was classified, in the order of `ALL_INPUTS`; NaN where not measured.
        groups: Groups of optional inputs that the model used.
        is_outside: Whether the object is unlike the objects that the model was trained on; None if
            the release has no domain.
        labels: Label set; None if no coverage was requested.
        is_certain: Whether the object belongs to a sample of the requested purity; None if no
            purity was requested.
    """

    mode: Mode
    predicted: str
    probabilities: dict[str, float]
    model_version: str
    flags: str
    inputs: tuple[float, ...]
    groups: tuple[str, ...] = ()
    is_outside: bool | None = None
    labels: tuple[str, ...] | None = None
    is_certain: bool | None = None


@dataclass(frozen=True)
class Certainty:
    """What is requested beside the probabilities.

    Attributes:
        coverage: Share of the objects whose label set has their class; None for no label set.
        purity: Purity of the sample that certain objects belong to; None for no sample.
    """

    coverage: float | None = None
    purity: float | None = None


NO_CERTAINTY = Certainty()
"""Probabilities only."""


def choose_mode(redshift: float | None) -> Mode:
    """Return the photometric mode for an unknown redshift, else the spectroscopic one."""
    return Mode.PHOTOMETRIC if redshift is None or pd.isna(redshift) else Mode.SPECTROSCOPIC


def classify_object(
    clients: Clients,
    magnitudes: Sequence[float | None],
    redshift: float | None,
    optional: Mapping[str, float | None] = MappingProxyType({}),
    certainty: Certainty = NO_CERTAINTY,
) -> Prediction:
    """Classify one object.

    Args:
        clients: Client of each mode.
        magnitudes: u, g, r, i, z (mag); None where the user left a field empty.
        redshift: Redshift (dimensionless); None selects the photometric model.
        optional: Optional inputs by name, for the photometric model; None where not measured.
        certainty: What is requested beside the probabilities.

    Raises:
        ServingError: The predictor is unreachable or rejected the object.
    """
    mode = choose_mode(redshift)
    values = {**dict(zip(MAGNITUDES, magnitudes, strict=True)), "redshift": redshift, **optional}
    measured = [name for name in OPTIONAL_INPUTS[mode] if values.get(name) is not None]
    row = pd.DataFrame([values], columns=[*INPUTS[mode], *measured], dtype="float64")
    try:
        (record,) = (
            clients[mode]
            .classify(row, coverage=certainty.coverage, purity=certainty.purity)
            .to_dict("records")
        )
    except RowError as error:  # the number of the only row helps nobody
        raise ServingError(error.reason) from error
    return _make_prediction(mode, row, record, certainty)


def _make_prediction(
    mode: Mode, row: pd.DataFrame, record: Mapping[Hashable, Any], certainty: Certainty
) -> Prediction:
    probabilities = {
        name: float(record[column]) for name, column in zip(CLASSES, PROBABILITIES, strict=True)
    }
    outside = record["out_of_domain"]
    return Prediction(
        mode=mode,
        predicted=max(CLASSES, key=lambda name: probabilities[name]),
        probabilities=probabilities,
        model_version=str(record["model_version"]),
        flags=str(record["flags"]),
        inputs=tuple(row.reindex(columns=list(ALL_INPUTS[mode])).iloc[0]),
        groups=tuple(str(record.get("groups", "")).split()),
        is_outside=None if pd.isna(outside) else bool(outside),
        labels=None if certainty.coverage is None else tuple(str(record["labels"]).split()),
        is_certain=None if certainty.purity is None else record["predicted"] != UNCERTAIN,
    )
