"""Open Inference Protocol (V2): JSON with tensors, whose data may follow the JSON as bytes.

Source: Open Inference Protocol, "Inference Request/Response JSON Object" and its extension for
binary tensor data.
"""

from collections.abc import Sequence
from importlib import metadata
from typing import Annotated, Any

import msgspec
import orjson

from skyclass.registry.models import LoadedModel
from skyclass.serving.errors import RequestError, describe, quote
from skyclass.serving.options import EXPECTED_SHARE, NO_OPTIONS, Options, Share, ShareText
from skyclass.serving.prediction import Prediction
from skyclass.serving.predictor import MAX_ID_CHARACTERS
from skyclass.serving.protocol.outputs import OUTPUTS, Output, make_parameters
from skyclass.serving.protocol.strict_json import StructureError, convert, parse_json
from skyclass.serving.protocol.tensors import DTYPES, Tensor, TensorParameters
from skyclass.survey.features import INPUTS, model_name

OutputName = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(OUTPUTS)})]


class OutputParameters(msgspec.Struct):
    """Parameters of a requested output."""

    binary_data: bool | None = None


class RequestedOutput(msgspec.Struct):
    """An output that the client wants."""

    name: OutputName
    parameters: OutputParameters | None = None


class RequestParameters(msgspec.Struct):
    """Parameters of a request."""

    binary_data_output: bool | None = None
    coverage: Share | ShareText | None = None
    purity: Share | ShareText | None = None


class InferRequest(msgspec.Struct):
    """A V2 request."""

    inputs: Annotated[list[Tensor], msgspec.Meta(min_length=1)]
    id: Annotated[str, msgspec.Meta(max_length=MAX_ID_CHARACTERS)] | None = None
    outputs: list[RequestedOutput] | None = None
    parameters: RequestParameters | None = None


class OutputTensor(msgspec.Struct):
    """An output: its data is here, or follows the JSON as bytes."""

    name: OutputName
    shape: list[int]
    datatype: Annotated[
        str,
        msgspec.Meta(
            extra_json_schema={"enum": sorted({output.datatype for output in OUTPUTS.values()})}
        ),
    ]
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    parameters: TensorParameters | msgspec.UnsetType = msgspec.UNSET


class InferResponse(msgspec.Struct):
    """A V2 response."""

    model_name: str
    model_version: str
    id: str
    outputs: list[OutputTensor]
    parameters: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


_encoder = msgspec.json.Encoder()

_EXPECTED = {
    "name": "text",
    "shape": "a list of integers",
    "datatype": f"one of {', '.join(DTYPES)}",
    "id": f"text of at most {MAX_ID_CHARACTERS} characters",
    "parameters": "an object",
    "binary_data_size": "an integer",
    "binary_data": "true or false",
    "binary_data_output": "true or false",
    "coverage": EXPECTED_SHARE,
    "purity": EXPECTED_SHARE,
}
"""What a field has to be; all others are lists."""


def parse_request(
    body: bytes, json_length: str | None, max_nesting: int
) -> tuple[InferRequest, bytes]:
    """Parse a V2 request: its JSON part, and the bytes that follow it.

    Args:
        body: The request body.
        json_length: The header Inference-Header-Content-Length, if there is one.
        max_nesting: Limit on the levels of lists and objects.

    Raises:
        RequestError: 400, or 413 when the nesting is too deep.
    """
    length = len(body)
    if json_length is not None:
        length = int(json_length) if json_length.isdecimal() else 0
        if not 0 < length <= len(body):
            raise RequestError(
                400,
                f"Inference-Header-Content-Length is {quote(json_length)}, expected the length "
                f"of the JSON part of a body of {len(body)} bytes",
            )
    return read_structure(parse_json(body[:length], max_nesting)), body[length:]


def read_structure(payload: dict[str, Any]) -> InferRequest:
    """Check the structure of a request.

    Raises:
        RequestError: 400, a field is missing or has another type.
    """
    try:
        return convert(payload, InferRequest)
    except StructureError as error:
        where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.path)
        where = where.removeprefix(".")
        if error.missing:
            where = f"{where}.{error.missing}".removeprefix(".")
            raise RequestError(400, f"{where} is missing: add it") from None
        if error.value == []:
            raise RequestError(400, f"{where} is empty: send at least one tensor") from None
        field = next(step for step in reversed(error.path) if isinstance(step, str))
        expected = _EXPECTED.get(field, "a list")
        if isinstance(error.path[-1], int):  # of a list
            expected = "an integer from 0" if field == "shape" else "an object"
        raise RequestError(
            400, f"{where} is {describe(error.value)}, expected {expected}"
        ) from None


def get_options(request: InferRequest) -> Options:
    """Return the options among the parameters of a request."""
    given = request.parameters
    if given is None or (given.coverage is None and given.purity is None):
        return NO_OPTIONS
    return Options(
        *(None if share is None else float(share) for share in (given.coverage, given.purity))
    )


def select_outputs(
    request: InferRequest, options: Options, model: LoadedModel
) -> list[tuple[Output, bool]]:
    """Return the wanted outputs, each with whether the client wants it in binary form.

    Raises:
        RequestError: 400, there is no such output; or 422, the request lacks an option for it, or
            the release does not have it.
    """
    binary = bool(request.parameters and request.parameters.binary_data_output)
    if request.outputs is None:
        return [
            (output, binary)
            for output in OUTPUTS.values()
            if output.is_default and output.is_available(options, model)
        ]
    selected = []
    for number, wanted in enumerate(request.outputs):
        output = OUTPUTS.get(wanted.name)
        if output is None:
            raise RequestError(
                400,
                f"outputs[{number}].name is {quote(wanted.name)}, "
                f"expected one of {', '.join(OUTPUTS)}",
            )
        if not output.is_available(options, model):
            raise RequestError(
                422, f"outputs[{number}] is {output.name}, which needs {output.needs}: omit it"
            )
        choice = wanted.parameters.binary_data if wanted.parameters else None
        selected.append((output, binary if choice is None else choice))
    return selected


def write_response(
    prediction: Prediction, outputs: Sequence[tuple[Output, bool]], model: str, response_id: str
) -> tuple[bytes, int | None]:
    """Encode the response to a V2 request.

    Args:
        prediction: The prediction.
        outputs: The wanted outputs, as `select_outputs` returns them.
        model: Name of the model.
        response_id: The id of the request, or of its prediction.

    Returns:
        The body, and the length of its JSON part when bytes follow it.
    """
    tensors, raw = [], []
    for output, binary in outputs:
        tensor = OutputTensor(**output.describe(len(prediction.probabilities)))
        if binary:
            raw.append(output.to_bytes(prediction))
            tensor.parameters = TensorParameters(len(raw[-1]))
        else:
            flat = output.to_flat(prediction)
            tensor.data = msgspec.Raw(orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY))
        tensors.append(tensor)
    response = InferResponse(model, prediction.model_version, response_id, tensors)
    if parameters := make_parameters(prediction):
        response.parameters = parameters
    head = _encoder.encode(response)
    return b"".join((head, *raw)), len(head) if raw else None


SERVER_METADATA = {
    "name": "skyclass",
    "version": metadata.version("skyclass"),
    "extensions": ["binary_tensor_data"],
}


def describe_model(model: LoadedModel) -> dict[str, Any]:
    """Return the metadata of a model; `versions` holds the id of its release.

    Inputs are listed as one column each: metadata can name them in no other form. It cannot mark
    them as optional, and clients send what it lists, so it lists the required ones, and the outputs
    that need no parameter.
    """
    mode = model.release.mode
    return {
        "name": model_name(mode),
        "versions": [model.release.id],
        "platform": model.engine_name,
        "inputs": [{"name": name, "datatype": "FP64", "shape": [-1]} for name in INPUTS[mode]],
        "outputs": [
            output.metadata for output in OUTPUTS.values() if output.is_available(NO_OPTIONS, model)
        ],
    }
