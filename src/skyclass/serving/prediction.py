"""What a release predicts for the rows of one request."""

from itertools import compress
from typing import NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from skyclass.registry.label_sets import LabelSets
from skyclass.registry.models import LoadedModel, Probabilities
from skyclass.registry.patterns import Mask, find_missing_bands
from skyclass.registry.purity import PurityCuts
from skyclass.serving.errors import RequestError
from skyclass.serving.inputs import Inputs
from skyclass.serving.options import Options
from skyclass.survey.features import INPUTS, find_groups
from skyclass.survey.observation import most_probable_classes


class Prediction(NamedTuple):
    """The prediction for the rows of one request; a tuple, because every request creates one.

    Attributes:
        request_id: Id of the request, the client's or a generated one.
        model_version: Id of the release.
        probabilities: Shape (n, 3), in the order of CLASSES.
        flags: By row, which values lie outside the survey's range or are missing.
        groups: By row that has optional inputs, the groups of them that the model used.
        out_of_domain: Whether each row is unlike the rows that the model was trained on, shape
            (n,); None if the release has no domain.
        labels: Which classes the label set of each row has, shape (n, 3); None unless the client
            requested a coverage.
        certain: Whether each row belongs to a sample of the requested purity, shape (n,); None
            unless the client requested one.
    """

    request_id: str
    model_version: str
    probabilities: Probabilities
    flags: dict[int, list[str]]
    groups: dict[int, list[str]]
    out_of_domain: Mask | None
    labels: Mask | None
    certain: Mask | None

    @property
    def classes(self) -> list[str]:
        """The most probable class of each row."""
        return list(most_probable_classes(self.probabilities))


def classify(model: LoadedModel, inputs: Inputs, options: Options, request_id: str) -> Prediction:
    """Classify rows, and compute what the options request.

    Raises:
        RequestError: 422, the release has nothing that an option needs.
    """
    label_sets = None if options.coverage is None else _get_label_sets(model)
    purity_cuts = None if options.purity is None else _get_purity_cuts(model)
    names = model.release.manifest.features
    features = model.compute_features(inputs.values)
    probabilities = model.predict_from_features(features)
    outside = labels = certain = None
    if model.domain is not None:
        outside = model.domain.find_outside(features, names)
    if label_sets or purity_cuts:
        pattern = find_groups(features, names), find_missing_bands(inputs.values)
        if label_sets and options.coverage:
            labels = label_sets.select(probabilities, pattern[0], options.coverage, pattern[1])
        if purity_cuts and options.purity:
            certain = purity_cuts.find_certain(probabilities, options.purity, *pattern)
    return Prediction(
        request_id,
        model.release.id,
        probabilities,
        inputs.flags,
        _list_groups(inputs, features, model),
        outside,
        labels,
        certain,
    )


def _get_label_sets(model: LoadedModel) -> LabelSets:
    return model.release.manifest.label_sets or _reject_option(model, "label sets", "coverage")


def _get_purity_cuts(model: LoadedModel) -> PurityCuts:
    return model.release.manifest.purity_cuts or _reject_option(model, "purity cuts", "purity")


def _reject_option(model: LoadedModel, what: str, option: str) -> NoReturn:
    raise RequestError(
        422,
        f"release {model.release.id[:12]} has no {what}: train a new release, or omit {option}",
    )


def _list_groups(
    inputs: Inputs, features: npt.NDArray[np.float32], model: LoadedModel
) -> dict[int, list[str]]:
    required = len(INPUTS[model.release.mode])
    if inputs.values.shape[1] == required:
        return {}
    rows = np.flatnonzero(~np.isnan(inputs.values[:, required:]).all(axis=1))
    found = find_groups(features[rows], model.release.manifest.features)
    names = [str(group) for group in found]
    used = np.array(list(found.values()), dtype=bool).reshape(len(names), len(rows))
    return {
        row: list(compress(names, selected))
        for row, selected in zip(rows.tolist(), used.T.tolist(), strict=True)
    }
