"""The outputs of the Open Inference Protocol, each declared once.

V2 JSON, V2 binary, gRPC, the model metadata and OpenAPI are all derived from `OUTPUTS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from skyclass.serving.predictor import Prediction
from skyclass.survey.observation import CLASSES


@dataclass(frozen=True)
class Output:
    """One output tensor.

    Attributes:
        name: Its name.
        datatype: BYTES for text, FP32 for numbers.
        row_shape: Shape of one row's values; () for a single value.
        values: Returns the values of all rows: a list of text, or an array of numbers.
    """

    name: str
    datatype: str
    row_shape: tuple[int, ...]
    values: Callable[[Prediction], Any]

    @property
    def metadata(self) -> dict[str, Any]:
        """The tensor in the model metadata."""
        return {"name": self.name, "datatype": self.datatype, "shape": [-1, *self.row_shape]}

    def describe(self, rows: int) -> dict[str, Any]:
        """Return name, datatype and shape of the tensor for a number of rows."""
        return {"name": self.name, "datatype": self.datatype, "shape": [rows, *self.row_shape]}

    def to_flat(self, prediction: Prediction) -> Any:
        """Return the values in row-major order: a list of text, or an FP32 array."""
        values = self.values(prediction)
        return values if self.datatype == "BYTES" else np.asarray(values, "<f4").ravel()

    def to_bytes(self, prediction: Prediction) -> bytes:
        """Return the values in the protocol's binary form.

        Text is preceded by its length, a little-endian 32-bit integer.
        """
        values = self.to_flat(prediction)
        if self.datatype != "BYTES":
            return values.tobytes()
        encoded = (text.encode() for text in values)
        return b"".join(len(text).to_bytes(4, "little") + text for text in encoded)


OUTPUTS = {
    output.name: output
    for output in (
        Output("class", "BYTES", (), lambda prediction: prediction.classes),
        Output("probabilities", "FP32", (len(CLASSES),), lambda found: found.probabilities),
    )
}


def format_flags(flags: dict[int, list[str]]) -> str:
    """Join the flags of all rows: V2 has parameters of the whole response only."""
    return "; ".join(f"row {row}: {text}" for row, texts in flags.items() for text in texts)
