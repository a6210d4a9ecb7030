"""Conversion of fitted classifiers to ONNX, with what skl2onnx does not convert.

These are the temperature of a calibration, and the branch that a missing value takes in trees and
forests: skl2onnx converts it for gradient boosting only, and in a form that is slow.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.tree import DecisionTreeClassifier

from skyclass.registry.models import FEATURES_INPUT, PROBABILITIES_OUTPUT
from skyclass.training.candidates import Calibration

CONVERSION_ERRORS = (MissingConverter, MissingShapeCalculator, NotImplementedError)
"""What `convert_to_onnx` raises for a classifier that cannot be converted."""

_RAW = "raw_probabilities"
_ENSEMBLE = "TreeEnsembleClassifier"
"""Operator that skl2onnx converts trees, forests and gradient boosting to."""
_BRANCHES = "nodes_missing_value_tracks_true"
"""Attribute of the operator: nodes at which missing values go to the left."""
_COMPARED = "nodes_featureids"
"""Attribute of the operator: the feature that each node compares."""
_BOTH = "features_and_copies"
_EPSILON = 1e-12
"""What scikit-learn adds to probabilities before it takes their logarithm."""


def convert_to_onnx(model: ClassifierMixin, features: int, missing: bool) -> bytes:
    """Convert a fitted classifier to a serialised ONNX model with the output `probabilities`.

    Args:
        model: The classifier.
        features: Number of its features.
        missing: Whether features can be missing (NaN).

    Raises:
        CONVERSION_ERRORS: It cannot be converted.
    """
    if not isinstance(model, CalibratedClassifierCV) or model.method != Calibration.TEMPERATURE:
        return _convert(model, features, missing).SerializeToString()
    (calibrated,) = model.calibrated_classifiers_
    (scaling,) = calibrated.calibrators
    converted = _convert(calibrated.estimator, features, missing)
    _append_temperature(converted.graph, float(scaling.beta_))
    return converted.SerializeToString()


def _convert(model: ClassifierMixin, features: int, missing: bool) -> ModelProto:
    types = [(FEATURES_INPUT, FloatTensorType([None, features]))]
    converted = to_onnx(model, initial_types=types, options={"zipmap": False})
    _remove_unused_constants(converted.graph)
    operators = [node for node in converted.graph.node if node.op_type == _ENSEMBLE]
    if missing:
        _set_branches_of_missing(operators, list(_find_ensembles(model)), features)
        _append_lowest(converted.graph)
    for operator in operators:
        for attribute in [each for each in operator.attribute if each.name == _BRANCHES]:
            operator.attribute.remove(attribute)
    return converted


def _set_branches_of_missing(
    operators: Sequence[NodeProto], ensembles: Sequence[list[DecisionTreeClassifier]], features: int
) -> None:
    """Let missing values take the branch that they take in scikit-learn.

    They go to the right, as no comparison with NaN is true. Nodes at which they go to the left
    compare copies of the features, in which they are minus infinity. The operator has an attribute
    for such nodes, but with it, every comparison of the ensemble takes longer.
    """
    if len(operators) != len(ensembles):
        raise NotImplementedError(f"{len(ensembles)} ensembles became {len(operators)} operators")
    for operator, trees in zip(operators, ensembles, strict=True):
        attributes = {each.name: each.ints for each in operator.attribute}
        branches = [left for tree in trees for left in tree.tree_.missing_go_to_left]
        compared = attributes[_COMPARED]
        compared[:] = [
            feature + features if left else feature
            for feature, left in zip(compared, branches or attributes[_BRANCHES], strict=True)
        ]
        operator.input[0] = _BOTH


def _append_lowest(graph: GraphProto) -> None:
    """Append a copy of the features in which missing values are minus infinity."""
    graph.initializer.append(helper.make_tensor("lowest", TensorProto.FLOAT, [], [-np.inf]))
    nodes = [
        helper.make_node("IsNaN", [FEATURES_INPUT], ["is_missing"]),
        helper.make_node("Where", ["is_missing", "lowest", FEATURES_INPUT], ["lowest_if_missing"]),
        helper.make_node("Concat", [FEATURES_INPUT, "lowest_if_missing"], [_BOTH], axis=1),
    ]
    for place, node in enumerate(nodes):
        graph.node.insert(place, node)


def _find_ensembles(model: ClassifierMixin) -> Iterator[list[DecisionTreeClassifier]]:
    """Yield the trees of each ensemble; none for gradient boosting, whose operator has branches."""
    if isinstance(model, HistGradientBoostingClassifier):
        yield []
    elif isinstance(model, DecisionTreeClassifier):
        yield [model]
    elif isinstance(model, RandomForestClassifier):
        yield model.estimators_
    elif isinstance(model, VotingClassifier):
        for member in model.estimators_:
            yield from _find_ensembles(member)
    elif isinstance(model, CalibratedClassifierCV):
        for calibrated in model.calibrated_classifiers_:
            yield from _find_ensembles(calibrated.estimator)


def _remove_unused_constants(graph: GraphProto) -> None:
    """Remove constants that skl2onnx leaves behind: ONNX Runtime warns of each at every start."""
    used = {name for node in graph.node for name in node.input}
    for constant in [each for each in graph.initializer if each.name not in used]:
        graph.initializer.remove(constant)


def _append_temperature(graph: GraphProto, inverse_temperature: float) -> None:
    """Compute softmax(log(p + epsilon) / temperature) of the output; the classes stay the same."""
    for node in graph.node:
        for names in (node.input, node.output):
            for position, name in enumerate(names):
                if name == PROBABILITIES_OUTPUT:
                    names[position] = _RAW
    for name, value in (("epsilon", _EPSILON), ("inverse_temperature", inverse_temperature)):
        graph.initializer.append(helper.make_tensor(name, TensorProto.FLOAT, [], [value]))
    graph.node.extend(
        [
            helper.make_node("Add", [_RAW, "epsilon"], ["positive"]),
            helper.make_node("Log", ["positive"], ["logits"]),
            helper.make_node("Mul", ["logits", "inverse_temperature"], ["scaled_logits"]),
            helper.make_node("Softmax", ["scaled_logits"], [PROBABILITIES_OUTPUT], axis=1),
        ]
    )
