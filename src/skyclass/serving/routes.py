"""The addresses that the predictor answers at, and how it says no.

They are all that there is: KServe's own application is not served, since some of its addresses
let anyone change the server (`/v2/repository/…`), and its refusals come in three forms and carry
tracebacks into the log.
"""

from http import HTTPStatus
from importlib import metadata
from typing import Any

import orjson
from kserve.protocol.rest.server import metrics_handler
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from skyclass.serving.answers import write_v1, write_v2
from skyclass.serving.objects import BadRequest
from skyclass.serving.predictor import REQUEST_ID, Predictor
from skyclass.serving.requests import parse_json
from skyclass.serving.tensors import parse_v2

JSON_LENGTH = "inference-header-content-length"
_JSON, _BYTES = "application/json", "application/octet-stream"
_CLIENT_CLOSED_REQUEST = 499  # nginx's number: nobody will read the answer


class Routes:
    """The predictor's addresses."""

    def __init__(self, predictor: Predictor, max_body_bytes: int) -> None:
        """Serve a predictor, with a limit on the size of a body."""
        self._predictor = predictor
        self._max_body_bytes = max_body_bytes

    def application(self) -> Starlette:
        """The addresses as an ASGI application."""
        v1, v2 = f"/v1/models/{self._predictor.name}", f"/v2/models/{self._predictor.name}"
        return Starlette(
            routes=[
                Route(f"{v1}:predict", self.predict, methods=["POST"]),
                Route(f"{v2}/infer", self.infer, methods=["POST"]),
                Route("/", self.live),
                Route("/metrics", metrics_handler),
                Route("/v1/models", self.models),
                Route(v1, self.model_ready),
                Route("/v2", self.server),
                Route("/v2/health/live", self.v2_live),
                Route("/v2/health/ready", self.v2_ready),
                Route("/v2/models", self.models),
                Route(v2, self.model),
                Route(f"{v2}/ready", self.model_ready),
            ],
            exception_handlers={
                BadRequest: _refuse,
                HTTPException: self._refuse_address,
                ClientDisconnect: _nobody_there,
                Exception: _failed,
            },
        )

    async def predict(self, request: Request) -> Response:
        """V1: classify objects."""
        _check_type(request, (_JSON,))
        payload = parse_json(await self._body(request))
        answer, _ = await self._predictor(payload, headers=request.headers)
        headers = {REQUEST_ID: answer.request_id}
        return Response(write_v1(answer), headers=headers, media_type=_JSON)

    async def infer(self, request: Request) -> Response:
        """V2: classify objects."""
        json_length = request.headers.get(JSON_LENGTH)
        _check_type(request, (_JSON,) if json_length is None else (_JSON, _BYTES))
        payload = parse_v2(await self._body(request), json_length)
        answer, _ = await self._predictor(payload, headers=request.headers)
        body, length = write_v2(answer, payload, self._predictor.name)
        if length is None:
            return Response(body, media_type=_JSON)
        return Response(body, headers={JSON_LENGTH: str(length)}, media_type=_BYTES)

    async def live(self, request: Request) -> Response:
        """The server runs."""
        return _json({"status": "alive"})

    async def models(self, request: Request) -> Response:
        """The names of the models: one."""
        return _json({"models": [self._predictor.name]})

    async def model_ready(self, request: Request) -> Response:
        """The model can be asked: the server does not listen before it is loaded."""
        return _json({"name": self._predictor.name, "ready": True})

    async def server(self, request: Request) -> Response:
        """V2: what server this is."""
        version, extensions = metadata.version("skyclass"), ["binary_tensor_data"]
        return _json({"name": "skyclass", "version": version, "extensions": extensions})

    async def v2_live(self, request: Request) -> Response:
        """V2: the server runs."""
        return _json({"live": True})

    async def v2_ready(self, request: Request) -> Response:
        """V2: the server can be asked."""
        return _json({"ready": True})

    async def model(self, request: Request) -> Response:
        """V2: inputs and outputs; `versions` holds the id of the release that answers now."""
        return _json(
            {
                "name": self._predictor.name,
                "versions": [self._predictor.model.release.id],
                "platform": self._predictor.model.engine_name,
                "inputs": self._predictor.get_input_types(),
                "outputs": self._predictor.get_output_types(),
            }
        )

    async def _refuse_address(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        text = {
            HTTPStatus.NOT_FOUND: f"nothing is here: the only model is {self._predictor.name}",
            HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not allowed at this address",
        }.get(HTTPStatus(error.status_code), error.detail)
        return _json({"error": text}, error.status_code, dict(error.headers or {}))

    async def _body(self, request: Request) -> bytes:
        """Read the body, but no more of it than is allowed."""
        too_large = BadRequest(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body is larger than {self._max_body_bytes} bytes: send it in parts",
        )
        if int(request.headers.get("content-length", 0)) > self._max_body_bytes:
            raise too_large
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > self._max_body_bytes:
                raise too_large
        return bytes(body)


def _check_type(request: Request, allowed: tuple[str, ...]) -> None:
    given = request.headers.get("content-type", _JSON).partition(";")[0].strip().lower()
    if given not in allowed:
        raise BadRequest(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the content type is not {' or '.join(allowed)}"
        )
    if request.headers.get("content-encoding", "identity") != "identity":
        raise BadRequest(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body is compressed: send it as it is"
        )


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, _JSON)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, BadRequest)
    return _json({"error": error.message}, error.status)


async def _nobody_there(request: Request, error: Exception) -> Response:
    return Response(status_code=_CLIENT_CLOSED_REQUEST)


async def _failed(request: Request, error: Exception) -> Response:
    """Leave the details to the log, where uvicorn writes the traceback after this answer."""
    return _json({"error": "the predictor failed: see its log"}, 500)
