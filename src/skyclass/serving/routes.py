"""Health, metadata, metrics and OpenAPI routes.

KServe's own application is not served: anyone can change the server through some of its routes
(`/v2/repository/…`), its errors come in three forms, and it logs their tracebacks.
"""

from http import HTTPStatus
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from skyclass.serving.errors import RequestError, model_not_found
from skyclass.serving.metrics import write_metrics
from skyclass.serving.predictor import Predictor
from skyclass.serving.protocol.openapi import describe_api
from skyclass.serving.protocol.v2 import SERVER_METADATA, describe_model
from skyclass.serving.settings import ServingSettings


def make_routes(predictor: Predictor, settings: ServingSettings) -> Starlette:
    """Create the ASGI application of all routes but the predictions.

    Args:
        predictor: The predictor to describe.
        settings: Limits on requests, for the OpenAPI document.
    """
    api = orjson.dumps(describe_api(predictor.mode, settings))

    async def live(request: Request) -> Response:
        return _json({"status": "alive"})

    async def v2_live(request: Request) -> Response:
        return _json({"live": True})

    async def v2_ready(request: Request) -> Response:
        ready = predictor.is_ready()
        return _json({"ready": ready}, 200 if ready else 503)

    async def model_ready(request: Request) -> Response:
        ready = predictor.is_ready(_get_version(request))
        return _json({"name": predictor.name, "ready": ready}, 200 if ready else 503)

    async def list_models(request: Request) -> Response:
        return _json({"models": [predictor.name]})

    async def model_metadata(request: Request) -> Response:
        return _json(describe_model(predictor.find_model(_get_version(request))))

    async def server_metadata(request: Request) -> Response:
        return _json(SERVER_METADATA)

    async def metrics(request: Request) -> Response:
        body, content_type = write_metrics(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    async def openapi(request: Request) -> Response:
        return Response(api, media_type="application/json")

    async def handle_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message = {
            HTTPStatus.NOT_FOUND: model_not_found(predictor.mode).message,
            HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not allowed here",
        }.get(HTTPStatus(error.status_code), error.detail)
        return _json({"error": message}, error.status_code, dict(error.headers or {}))

    v1, v2 = f"/v1/models/{predictor.name}", f"/v2/models/{predictor.name}"
    versioned = f"{v2}/versions/{{version}}"
    return Starlette(
        routes=[
            Route("/", live),
            Route("/metrics", metrics),
            Route("/openapi.json", openapi),
            Route("/v1/models", list_models),
            Route(v1, model_ready),
            Route("/v2", server_metadata),
            Route("/v2/health/live", v2_live),
            Route("/v2/health/ready", v2_ready),
            Route("/v2/models", list_models),
            Route(v2, model_metadata),
            Route(f"{v2}/ready", model_ready),
            Route(versioned, model_metadata),
            Route(f"{versioned}/ready", model_ready),
        ],
        exception_handlers={
            RequestError: _handle_request_error,
            HTTPException: handle_http_error,
            Exception: _handle_internal_error,
        },
    )


def _get_version(request: Request) -> str:
    return str(request.path_params.get("version", ""))


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, "application/json")


async def _handle_request_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    headers = {name.decode(): value.decode() for name, value in error.headers}
    return _json({"error": error.message}, error.status, headers)


async def _handle_internal_error(request: Request, error: Exception) -> Response:
    """Hide the error from the client; uvicorn logs the traceback."""
    return _json({"error": "internal error: see the predictor's log"}, 500)
