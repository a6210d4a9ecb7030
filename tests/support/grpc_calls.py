"""gRPC requests to the predictor."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

CONTENTS = {"FP32": "fp32_contents", "FP64": "fp64_contents"}
SECONDS = 20


@contextmanager
def connected(address: str) -> Iterator[GRPCInferenceServiceStub]:
    """Connect to a predictor."""
    with grpc.insecure_channel(address) as channel:
        yield GRPCInferenceServiceStub(channel)


def infer(stub: GRPCInferenceServiceStub, model: str, **request: Any) -> pb.ModelInferResponse:
    """Send a ModelInfer request."""
    return stub.ModelInfer(pb.ModelInferRequest(model_name=model, **request), timeout=SECONDS)


def error_of(stub: GRPCInferenceServiceStub, model: str, **request: Any) -> tuple[Any, str]:
    """Send a ModelInfer request that must fail; return its code and message."""
    try:
        response = infer(stub, model, **request)
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError(f"succeeded: {response}")


def to_grpc(request: Any) -> dict[str, Any] | None:
    """Convert a V2 JSON request to gRPC, or return None if its types cannot express it."""
    if not isinstance(request, dict) or not {"inputs"} <= set(request) <= {"inputs", "parameters"}:
        return None
    if not isinstance(request["inputs"], list):
        return None
    inputs = [_tensor(each) for each in request["inputs"]]
    parameters = request.get("parameters", {})
    if None in inputs or not all(isinstance(value, str) for value in parameters.values()):
        return None
    texts = {name: {"string_param": value} for name, value in parameters.items()}
    return {"inputs": inputs, "parameters": texts}


def _tensor(given: Any) -> dict[str, Any] | None:
    if not isinstance(given, dict) or set(given) != {"name", "shape", "datatype", "data"}:
        return None
    name, shape, datatype, data = (given[key] for key in ("name", "shape", "datatype", "data"))
    texts = isinstance(name, str) and isinstance(datatype, str)
    sizes = isinstance(shape, list) and all(type(size) is int and size < 2**63 for size in shape)
    largest = 3e38 if datatype == "FP32" else 1e308
    numbers = isinstance(data, list) and all(
        type(number) in (int, float) and abs(number) < largest for number in data
    )
    if not (texts and sizes and numbers):
        return None
    contents = {CONTENTS[datatype]: data} if datatype in CONTENTS else {}
    return {"name": name, "shape": shape, "datatype": datatype, "contents": contents}
