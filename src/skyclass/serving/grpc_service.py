"""The Open Inference Protocol over gRPC: the same questions, answers and refusals as V2's.

A request is turned into what its JSON would have been, so that one reader judges both.
"""

import logging
import time
from collections.abc import Sequence
from typing import Any, NoReturn, TypeAlias

import grpc
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import (
    GRPCInferenceServiceServicer,
    add_GRPCInferenceServiceServicer_to_server,
)

from skyclass.serving.answers import flag_text, make_output
from skyclass.serving.metrics import RequestCounts
from skyclass.serving.objects import Refusal, no_such_model
from skyclass.serving.predictor import Predictor
from skyclass.serving.routes import SERVER
from skyclass.serving.settings import ServingSettings
from skyclass.serving.tensors import check_v2

logger = logging.getLogger(__name__)

_CODES = {404: grpc.StatusCode.NOT_FOUND, 503: grpc.StatusCode.UNAVAILABLE}
"""Every other refusal is INVALID_ARGUMENT."""

_CONTENTS = {"FP32": "fp32_contents", "FP64": "fp64_contents"}
_REQUEST_ID = "x-request-id"

Context: TypeAlias = grpc.aio.ServicerContext


def make_server(
    predictor: Predictor, settings: ServingSettings, address: tuple[str, int]
) -> grpc.aio.Server:
    """A gRPC server, not yet started, for a port that is bound already and may be shared."""
    server = grpc.aio.server(
        options=(
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", settings.max_body_bytes),
        )
    )
    add_GRPCInferenceServiceServicer_to_server(GrpcService(predictor), server)
    host, port = address
    server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    return server


class GrpcService(GRPCInferenceServiceServicer):  # type: ignore[misc] # kserve publishes no types
    """All of the protocol but loading and unloading."""

    def __init__(self, predictor: Predictor) -> None:
        """Serve a predictor."""
        self._predictor = predictor
        self._counts = RequestCounts(predictor.name, "grpc")

    async def ModelInfer(
        self, request: pb.ModelInferRequest, context: Context
    ) -> pb.ModelInferResponse:
        """Classify objects."""
        begun = time.perf_counter()
        status = 500
        try:
            given = dict(context.invocation_metadata() or ()).get(_REQUEST_ID)
            response = await self._predictor.run(
                request.ByteSize(), self._answer, request, str(given) if given else None
            )
            status = 200
            return response
        except Refusal as refusal:
            status = refusal.status
            await _refuse(refusal, context)
        except Exception:  # gRPC would tell the caller what it was
            logger.exception("a gRPC request failed")
            await context.abort(grpc.StatusCode.INTERNAL, "the predictor failed: see its log")
        finally:
            self._counts.add(status, time.perf_counter() - begun)

    async def ModelMetadata(
        self, request: pb.ModelMetadataRequest, context: Context
    ) -> pb.ModelMetadataResponse:
        """Inputs and outputs, and the id of the release that answers now."""
        try:
            self._check_name(request.name, request.version)
            model = self._predictor.model
        except Refusal as refusal:
            await _refuse(refusal, context)
        return pb.ModelMetadataResponse(
            name=self._predictor.name,
            versions=[model.release.id],
            platform=model.engine_name,
            inputs=[_metadata(each) for each in self._predictor.get_input_types()],
            outputs=[_metadata(each) for each in self._predictor.get_output_types()],
        )

    async def ModelReady(
        self, request: pb.ModelReadyRequest, context: Context
    ) -> pb.ModelReadyResponse:
        """Whether the model can be asked."""
        try:
            self._check_name(request.name)
        except Refusal as refusal:
            await _refuse(refusal, context)
        return pb.ModelReadyResponse(ready=self._predictor.ready)

    async def ServerReady(
        self, request: pb.ServerReadyRequest, context: Context
    ) -> pb.ServerReadyResponse:
        """Whether the server can be asked."""
        return pb.ServerReadyResponse(ready=self._predictor.ready)

    async def ServerLive(
        self, request: pb.ServerLiveRequest, context: Context
    ) -> pb.ServerLiveResponse:
        """The server runs."""
        return pb.ServerLiveResponse(live=True)

    async def ServerMetadata(
        self, request: pb.ServerMetadataRequest, context: Context
    ) -> pb.ServerMetadataResponse:
        """What server this is."""
        return pb.ServerMetadataResponse(**SERVER)

    async def RepositoryModelLoad(self, request: Any, context: Context) -> NoReturn:
        """UNIMPLEMENTED: promotion alone changes what is served."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "promotion changes what is served")
        raise AssertionError("abort has raised")

    RepositoryModelUnload = RepositoryModelLoad

    def _answer(
        self, request: pb.ModelInferRequest, request_id: str | None
    ) -> pb.ModelInferResponse:
        self._check_name(request.model_name, request.model_version)
        read = check_v2(_as_json(request), b"".join(request.raw_input_contents))
        answer = self._predictor.predict(self._predictor.read_v2(read, request_id))
        response = pb.ModelInferResponse(
            model_name=self._predictor.name,
            model_version=answer.version,
            id=read.id or answer.request_id,
        )
        for name, binary in read.outputs:
            output, data = make_output(answer, name, binary)
            tensor = response.outputs.add(**output)
            if binary:
                response.raw_output_contents.append(data)
            elif output["datatype"] == "BYTES":
                tensor.contents.bytes_contents.extend(text.encode() for text in data)
            else:
                tensor.contents.fp32_contents.extend(data.tolist())
        if answer.flags:
            response.parameters["flags"].string_param = flag_text(answer.flags)
        return response

    def _check_name(self, name: str, version: str = "") -> None:
        if name != self._predictor.name:
            raise no_such_model(self._predictor.mode)
        if version and version != self._predictor.model.release.id:
            raise Refusal(404, "only one version is served, and it is another: name none")


def _as_json(request: pb.ModelInferRequest) -> dict[str, Any]:
    """What the request would be in JSON, its raw tensors as bytes that follow it."""
    raw: Sequence[bytes] = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise Refusal(
            400, f"{len(raw)} raw contents for {len(request.inputs)} inputs: send one for each"
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
        "parameters": {"binary_data_output": bool(raw)},
    }


def _metadata(described: dict[str, Any]) -> pb.ModelMetadataResponse.TensorMetadata:
    return pb.ModelMetadataResponse.TensorMetadata(**described)


async def _refuse(refusal: Refusal, context: Context) -> NoReturn:
    code = _CODES.get(refusal.status, grpc.StatusCode.INVALID_ARGUMENT)
    await context.abort(code, refusal.message)
    raise AssertionError("abort has raised")
