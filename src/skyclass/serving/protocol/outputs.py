"""The outputs of the Open Inference Protocol, each declared once.

V2 JSON, V2 binary, gRPC, the model metadata and OpenAPI are all derived from `OUTPUTS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from skyclass.registry.models import LoadedModel
from skyclass.serving.options import Options
from skyclass.serving.prediction import Prediction
from skyclass.survey.observation import CLASSES


@dataclass(frozen=True)
class Output:
    """One output tensor.

    Attributes:
        name: Its name.
        datatype: BYTES for text, FP32 for numbers, BOOL for truth values.
        row_shape: Shape of one row's values; () for a single value.
        values: Returns the values of all rows: a list of text, or an array.
        is_available: Whether a request with these options can have it from a release.
        needs: What it needs, for messages.
        is_default: Whether a request that names no outputs gets it, if it is available.
    """

    name: str
    datatype: str
    row_shape: tuple[int, ...]
    values: Callable[[Prediction], Any]
    is_available: Callable[[Options, LoadedModel], bool] = lambda options, model: True
    needs: str = ""
    is_default: bool = True

    @property
    def metadata(self) -> dict[str, Any]:
        """The tensor in the model metadata."""
        return {"name": self.name, "datatype": self.datatype, "shape": [-1, *self.row_shape]}

    def describe(self, rows: int) -> dict[str, Any]:
        """Return name, datatype and shape of the tensor for a number of rows."""
        return {"name": self.name, "datatype": self.datatype, "shape": [rows, *self.row_shape]}

    def to_flat(self, prediction: Prediction) -> Any:
        """Return the values in row-major order: a list of text, or an array."""
        values = self.values(prediction)
        if self.datatype == "BYTES":
            return values
        return np.asarray(values, _DTYPES[self.datatype]).ravel()

    def to_bytes(self, prediction: Prediction) -> bytes:
        """Return the values in the protocol's binary form.

        Text is preceded by its length, a little-endian 32-bit integer.
        """
        values = self.to_flat(prediction)
        if self.datatype != "BYTES":
            return values.tobytes()
        encoded = (text.encode() for text in values)
        return b"".join(len(text).to_bytes(4, "little") + text for text in encoded)


_DTYPES = {"FP32": "<f4", "BOOL": "?"}

OUTPUTS = {
    output.name: output
    for output in (
        Output("class", "BYTES", (), lambda prediction: prediction.classes),
        Output("probabilities", "FP32", (len(CLASSES),), lambda found: found.probabilities),
        Output(
            "labels",
            "BOOL",
            (len(CLASSES),),
            lambda prediction: prediction.labels,
            lambda options, model: options.coverage is not None,
            "the parameter coverage",
        ),
        Output(
            "certain",
            "BOOL",
            (),
            lambda prediction: prediction.certain,
            lambda options, model: options.purity is not None,
            "the parameter purity",
        ),
        Output(
            "out_of_domain",
            "BOOL",
            (),
            lambda prediction: prediction.out_of_domain,
            lambda options, model: model.domain is not None,
            "a release with a domain model",
            is_default=False,
        ),
    )
}


def make_parameters(prediction: Prediction) -> dict[str, str]:
    """Return the parameters of a response: flags and groups of rows, joined as text.

    V2 has parameters of the whole response only.
    """
    parameters = {}
    if prediction.flags:
        parameters["flags"] = "; ".join(
            f"row {row}: {text}" for row, texts in prediction.flags.items() for text in texts
        )
    if prediction.groups:
        parameters["groups"] = "; ".join(
            f"row {row}: {', '.join(names) or 'none'}" for row, names in prediction.groups.items()
        )
    return parameters
