"""Responses of KServe V1: JSON with an object for each row."""

from itertools import compress, repeat
from typing import Annotated, Any

import msgspec

from skyclass.serving.prediction import Prediction
from skyclass.survey.features import InputGroup
from skyclass.survey.observation import CLASSES

Probabilities = msgspec.defstruct(
    "Probabilities",
    [(name, Annotated[float, msgspec.Meta(ge=0, le=1.000001)]) for name in CLASSES],
    gc=False,  # large responses would trigger garbage collections, and there are no cycles
)


ClassName = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(CLASSES)})]
GroupName = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(InputGroup)})]


class RowPrediction(msgspec.Struct, rename={"class_": "class"}, gc=False):
    """The prediction for one row.

    `groups` names the groups of optional inputs that the model used, if the row has some; `labels`
    are the classes of the label set, if the request has a coverage; `certain` is whether the row
    belongs to a sample of the requested purity; `out_of_domain` is whether the row is unlike those
    that the model was trained on, if the release has a domain.
    """

    class_: ClassName
    probabilities: Probabilities  # type: ignore[valid-type]
    flags: list[str] | msgspec.UnsetType = msgspec.UNSET
    groups: list[GroupName] | msgspec.UnsetType = msgspec.UNSET
    labels: list[ClassName] | msgspec.UnsetType = msgspec.UNSET
    certain: bool | msgspec.UnsetType = msgspec.UNSET
    out_of_domain: bool | msgspec.UnsetType = msgspec.UNSET


class PredictResponse(msgspec.Struct):
    """The response to a V1 request."""

    predictions: list[RowPrediction]
    model_version: str


_encoder = msgspec.json.Encoder()
_ABSENT: Any = repeat(msgspec.UNSET)


def write_response(prediction: Prediction) -> bytes:
    """Encode the response to a V1 request."""
    labels = certain = outside = _ABSENT
    if prediction.labels is not None:
        labels = [list(compress(CLASSES, each)) for each in prediction.labels.tolist()]
    if prediction.certain is not None:
        certain = prediction.certain.tolist()
    if prediction.out_of_domain is not None:
        outside = prediction.out_of_domain.tolist()
    probabilities = map(Probabilities, *prediction.probabilities.T.tolist())
    columns = prediction.classes, probabilities, _ABSENT, _ABSENT, labels, certain, outside
    rows = list(map(RowPrediction, *columns))
    for row, texts in prediction.flags.items():
        rows[row].flags = texts
    for row, names in prediction.groups.items():
        rows[row].groups = names
    return _encoder.encode(PredictResponse(rows, prediction.model_version))
