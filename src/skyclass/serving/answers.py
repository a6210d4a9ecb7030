"""What the predictor answers, and how V1 and V2 write it down."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from skyclass.serving.tensors import CLASS_OUTPUT, PROBABILITIES_OUTPUT, V2Request
from skyclass.survey.observation import CLASSES


@dataclass(frozen=True)
class Answer:
    """What a model says about the objects of one request.

    Attributes:
        request_id: Names the request in the prediction log.
        version: Id of the release that answered.
        probabilities: Shape (n, 3), in the order of CLASSES.
        flags: What is unusual about an object, by row.
    """

    request_id: str
    version: str
    probabilities: npt.NDArray[np.floating[Any]]
    flags: dict[int, list[str]]

    @property
    def classes(self) -> list[str]:
        """The most probable class of each object."""
        return [CLASSES[index] for index in self.probabilities.argmax(axis=1).tolist()]


def write_v1(answer: Answer) -> bytes:
    """Write the answer to a V1 request."""
    predictions: list[dict[str, Any]] = [
        {"class": name, "probabilities": dict(zip(CLASSES, row, strict=True))}
        for name, row in zip(answer.classes, answer.probabilities.tolist(), strict=True)
    ]
    for row, texts in answer.flags.items():
        predictions[row]["flags"] = texts
    return orjson.dumps({"predictions": predictions, "model_version": answer.version})


def write_v2(answer: Answer, request: V2Request, model: str) -> tuple[bytes, int | None]:
    """Write the answer to a V2 request.

    Args:
        answer: The answer.
        request: What was asked.
        model: The model's name.

    Returns:
        The body, and the length of its JSON part when bytes follow it.
    """
    outputs, raw = [], []
    for name, binary in request.outputs:
        output, data = make_output(answer, name, binary)
        if binary:
            raw.append(data)
            outputs.append({**output, "parameters": {"binary_data_size": len(data)}})
        else:
            outputs.append({**output, "data": data})
    message: dict[str, Any] = {
        "model_name": model,
        "model_version": answer.version,
        "id": request.id or answer.request_id,
        "outputs": outputs,
    }
    if answer.flags:
        message["parameters"] = {"flags": flag_text(answer.flags)}
    head = orjson.dumps(message, option=orjson.OPT_SERIALIZE_NUMPY)
    return b"".join((head, *raw)), len(head) if raw else None


def make_output(answer: Answer, name: str, binary: bool) -> tuple[dict[str, Any], Any]:
    """One of the `OUTPUTS`: name, datatype and shape, and its data, as bytes where wanted."""
    return (_class_output if name == CLASS_OUTPUT else _probabilities_output)(answer, binary)


def flag_text(flags: dict[int, list[str]]) -> str:
    """The flags of all rows in one text, as V2 knows parameters of a whole answer only."""
    return "; ".join(f"row {row}: {text}" for row, texts in flags.items() for text in texts)


def _class_output(answer: Answer, binary: bool) -> tuple[dict[str, Any], Any]:
    classes = answer.classes
    output = {"name": CLASS_OUTPUT, "datatype": "BYTES", "shape": [len(classes)]}
    if not binary:
        return output, classes
    encoded = (name.encode() for name in classes)
    return output, b"".join(len(text).to_bytes(4, "little") + text for text in encoded)


def _probabilities_output(answer: Answer, binary: bool) -> tuple[dict[str, Any], Any]:
    values = answer.probabilities.astype("<f4")
    output = {"name": PROBABILITIES_OUTPUT, "datatype": "FP32", "shape": list(values.shape)}
    return output, values.tobytes() if binary else values.ravel()
