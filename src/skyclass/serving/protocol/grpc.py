"""Open Inference Protocol over gRPC.

A request is converted to its V2 JSON form, so that one reader validates both.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeAlias

import grpc

from skyclass.registry.models import LoadedModel
from skyclass.serving.errors import CLIENT_CLOSED_REQUEST, RequestError, model_not_found
from skyclass.serving.metrics import RequestMetrics
from skyclass.serving.predictor import Predictor
from skyclass.serving.protocol.messages import make_handler, pb
from skyclass.serving.protocol.outputs import make_parameters
from skyclass.serving.protocol.tensors import read_inputs
from skyclass.serving.protocol.v2 import (
    SERVER_METADATA,
    describe_model,
    get_options,
    read_structure,
    select_outputs,
)
from skyclass.serving.settings import ServingSettings

logger = logging.getLogger(__name__)

_CODES = {404: grpc.StatusCode.NOT_FOUND, 503: grpc.StatusCode.UNAVAILABLE}
"""Codes of HTTP statuses; all others are INVALID_ARGUMENT."""

_CONTENTS = {"FP32": "fp32_contents", "FP64": "fp64_contents"}
_REQUEST_ID, _IDEMPOTENCY_KEY = "x-request-id", "idempotency-key"

Context: TypeAlias = grpc.aio.ServicerContext


def make_server(
    predictor: Predictor, settings: ServingSettings, address: tuple[str, int]
) -> grpc.aio.Server:
    """Create a gRPC server on a port that is reserved; it is not started."""
    server = grpc.aio.server(
        options=(
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", settings.max_body_bytes),
        )
    )
    server.add_generic_rpc_handlers((make_handler(GrpcService(predictor, settings)),))
    host, port = address
    server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    return server


class GrpcService:
    """The protocol's service, except for loading and unloading models."""

    def __init__(self, predictor: Predictor, settings: ServingSettings) -> None:
        self._predictor = predictor
        self._settings = settings
        self._metrics = RequestMetrics(predictor.name, "grpc")

    async def ModelInfer(
        self, request: pb.ModelInferRequest, context: Context
    ) -> pb.ModelInferResponse:
        started = time.perf_counter()
        status = 500
        try:
            metadata = dict(context.invocation_metadata() or ())
            response = await self._predictor.run(request.ByteSize(), self._infer, request, metadata)
            status = 200
            return response
        except RequestError as error:
            status = error.status
            await _abort(error, context)
        except asyncio.CancelledError:  # by the client, or by its deadline
            status = CLIENT_CLOSED_REQUEST
            raise
        except Exception:  # gRPC would send its text to the client
            logger.exception("a gRPC request failed")
            await context.abort(grpc.StatusCode.INTERNAL, "internal error: see the predictor's log")
        finally:
            self._metrics.observe(status, time.perf_counter() - started)

    async def ModelMetadata(
        self, request: pb.ModelMetadataRequest, context: Context
    ) -> pb.ModelMetadataResponse:
        def describe() -> dict[str, Any]:
            return describe_model(self._find_model(request.name, request.version))

        return pb.ModelMetadataResponse(**await _or_abort(describe, context))

    async def ModelReady(
        self, request: pb.ModelReadyRequest, context: Context
    ) -> pb.ModelReadyResponse:
        def find_ready() -> bool:
            self._check_name(request.name)
            return self._predictor.is_ready(request.version)

        return pb.ModelReadyResponse(ready=await _or_abort(find_ready, context))

    async def ServerReady(
        self, request: pb.ServerReadyRequest, context: Context
    ) -> pb.ServerReadyResponse:
        return pb.ServerReadyResponse(ready=self._predictor.is_ready())

    async def ServerLive(
        self, request: pb.ServerLiveRequest, context: Context
    ) -> pb.ServerLiveResponse:
        return pb.ServerLiveResponse(live=True)

    async def ServerMetadata(
        self, request: pb.ServerMetadataRequest, context: Context
    ) -> pb.ServerMetadataResponse:
        return pb.ServerMetadataResponse(**SERVER_METADATA)

    async def RepositoryModelLoad(self, request: Any, context: Context) -> NoReturn:
        """Abort with UNIMPLEMENTED: only a promotion changes the model."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "only a promotion changes the model")
        raise AssertionError("abort raises")

    RepositoryModelUnload = RepositoryModelLoad

    def _infer(
        self, message: pb.ModelInferRequest, metadata: dict[str, str]
    ) -> pb.ModelInferResponse:
        predictor = self._predictor
        model = self._find_model(message.model_name, message.model_version)
        request = read_structure(_to_json(message))
        options = get_options(request)
        outputs = select_outputs(request, options, model)
        raw = b"".join(message.raw_input_contents)
        inputs = read_inputs(
            request.inputs,
            raw,
            predictor.mode,
            self._settings.max_rows,
            model.release.manifest.missing_bands,
        )
        ids = metadata.get(_REQUEST_ID) or request.id, metadata.get(_IDEMPOTENCY_KEY)
        prediction = predictor.predict(model, inputs, options, *ids)
        response = pb.ModelInferResponse(
            model_name=predictor.name,
            model_version=prediction.model_version,
            id=request.id or prediction.request_id,
        )
        for output, binary in outputs:
            tensor = response.outputs.add(**output.describe(len(prediction.probabilities)))
            if binary:
                response.raw_output_contents.append(output.to_bytes(prediction))
            elif output.datatype == "BYTES":
                texts = output.to_flat(prediction)
                tensor.contents.bytes_contents.extend(text.encode() for text in texts)
            elif output.datatype == "BOOL":
                tensor.contents.bool_contents.extend(output.to_flat(prediction).tolist())
            else:
                tensor.contents.fp32_contents.extend(output.to_flat(prediction).tolist())
        for name, text in make_parameters(prediction).items():
            response.parameters[name].string_param = text
        return response

    def _find_model(self, name: str, version: str) -> LoadedModel:
        self._check_name(name)
        return self._predictor.find_model(version)

    def _check_name(self, name: str) -> None:
        if name != self._predictor.name:
            raise model_not_found(self._predictor.mode)


def _to_json(request: pb.ModelInferRequest) -> dict[str, Any]:
    """Convert a request to its V2 JSON form, with raw tensors as bytes after the JSON."""
    raw: Sequence[bytes] = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise RequestError(
            400,
            f"raw_input_contents has {len(raw)} entries for {len(request.inputs)} inputs: "
            "send one for each",
        )
    inputs = []
    for number, given in enumerate(request.inputs):
        tensor = {"name": given.name, "datatype": given.datatype, "shape": list(given.shape)}
        if raw:
            tensor["parameters"] = {"binary_data_size": len(raw[number])}
        if given.HasField("contents") or not raw:
            tensor["data"] = list(getattr(given.contents, _CONTENTS.get(given.datatype, ""), ()))
        inputs.append(tensor)
    return {
        "id": request.id or None,
        "inputs": inputs,
        "outputs": [{"name": output.name} for output in request.outputs] or None,
        "parameters": {"binary_data_output": bool(raw), **_get_options(request)},
    }


def _get_options(request: pb.ModelInferRequest) -> dict[str, Any]:
    given = request.parameters
    return {
        name: getattr(given[name], given[name].WhichOneof("parameter_choice") or "", None)
        for name in ("coverage", "purity")
        if name in given
    }


async def _or_abort(call: Callable[[], Any], context: Context) -> Any:
    """Return the result of a call, or abort the request with its RequestError."""
    try:
        return call()
    except RequestError as error:
        await _abort(error, context)


async def _abort(error: RequestError, context: Context) -> NoReturn:
    code = _CODES.get(error.status, grpc.StatusCode.INVALID_ARGUMENT)
    await context.abort(code, error.message)
    raise AssertionError("abort raises")
