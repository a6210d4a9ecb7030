"""The addresses that say something about the server and its model.

They are all that there is: KServe's own application is not served, since some of its addresses
let anyone change the server (`/v2/repository/…`), and its refusals come in three forms and carry
tracebacks into the log.
"""

from http import HTTPStatus
from importlib import metadata
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from skyclass.serving.metrics import write_metrics
from skyclass.serving.objects import Refusal, no_such_model
from skyclass.serving.openapi import describe_api
from skyclass.serving.predictor import Predictor
from skyclass.serving.settings import ServingSettings

SERVER = {
    "name": "skyclass",
    "version": metadata.version("skyclass"),
    "extensions": ["binary_tensor_data"],
}


class Routes:
    """The predictor's addresses, but for those that classify."""

    def __init__(self, predictor: Predictor, settings: ServingSettings) -> None:
        """Tell about a predictor and its limits."""
        self._predictor = predictor
        self._api = orjson.dumps(describe_api(predictor.mode, settings))

    def application(self) -> Starlette:
        """The addresses as an ASGI application."""
        v1, v2 = f"/v1/models/{self._predictor.name}", f"/v2/models/{self._predictor.name}"
        return Starlette(
            routes=[
                Route("/", self.live),
                Route("/metrics", self.metrics),
                Route("/openapi.json", self.openapi),
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
                Refusal: _refuse,
                HTTPException: self._refuse_address,
                Exception: _failed,
            },
        )

    async def live(self, request: Request) -> Response:
        """The server runs."""
        return _json({"status": "alive"})

    async def metrics(self, request: Request) -> Response:
        """Counters and times, for Prometheus."""
        body, content_type = write_metrics(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    async def openapi(self, request: Request) -> Response:
        """The V1 and V2 addresses, as OpenAPI describes such things."""
        return Response(self._api, media_type="application/json")

    async def models(self, request: Request) -> Response:
        """The names of the models: one."""
        return _json({"models": [self._predictor.name]})

    async def model_ready(self, request: Request) -> Response:
        """Whether the model can be asked."""
        ready = self._predictor.ready
        return _json({"name": self._predictor.name, "ready": ready}, 200 if ready else 503)

    async def server(self, request: Request) -> Response:
        """V2: what server this is."""
        return _json(SERVER)

    async def v2_live(self, request: Request) -> Response:
        """V2: the server runs."""
        return _json({"live": True})

    async def v2_ready(self, request: Request) -> Response:
        """V2: whether the server can be asked."""
        ready = self._predictor.ready
        return _json({"ready": ready}, 200 if ready else 503)

    async def model(self, request: Request) -> Response:
        """V2: inputs and outputs; `versions` holds the id of the release that answers now."""
        model = self._predictor.model
        return _json(
            {
                "name": self._predictor.name,
                "versions": [model.release.id],
                "platform": model.engine_name,
                "inputs": self._predictor.get_input_types(),
                "outputs": self._predictor.get_output_types(),
            }
        )

    async def _refuse_address(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        text = {
            HTTPStatus.NOT_FOUND: no_such_model(self._predictor.mode).message,
            HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not allowed at this address",
        }.get(HTTPStatus(error.status_code), error.detail)
        return _json({"error": text}, error.status_code, dict(error.headers or {}))


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, "application/json")


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    headers = {name.decode(): value.decode() for name, value in error.headers}
    return _json({"error": error.message}, error.status, headers)


async def _failed(request: Request, error: Exception) -> Response:
    """Leave the details to the log, where uvicorn writes the traceback after this answer."""
    return _json({"error": "the predictor failed: see its log"}, 500)
