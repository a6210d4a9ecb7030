"""The ASGI application of the prediction endpoints.

Plain ASGI: the overhead of a web framework exceeds the time of a small prediction.
"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from skyclass.serving.errors import CLIENT_CLOSED_REQUEST, RequestError, quote
from skyclass.serving.metrics import RequestMetrics
from skyclass.serving.predictor import Predictor
from skyclass.serving.protocol import v1_request, v1_response, v2
from skyclass.serving.protocol.compression import decompress
from skyclass.serving.protocol.tensors import read_inputs
from skyclass.serving.settings import ServingSettings

_JSON, _BYTES = b"application/json", b"application/octet-stream"
_JSON_LENGTH = b"inference-header-content-length"
_CONTENT_ENCODING = b"content-encoding"
_REQUEST_ID, _IDEMPOTENCY_KEY = b"x-request-id", b"idempotency-key"

Headers = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An HTTP response; Content-Length is added when it is sent."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", _JSON),)


_Handler = Callable[[Headers, bytes], Awaitable[HttpResponse]]

_INTERNAL_ERROR = HttpResponse(
    500, orjson.dumps({"error": "internal error: see the predictor's log"})
)
_CLIENT_GONE = HttpResponse(CLIENT_CLOSED_REQUEST, b"")


class PredictionApp:
    """Serves V1 and V2 predictions, and passes requests for other paths on."""

    def __init__(self, predictor: Predictor, settings: ServingSettings, routes: ASGIApp) -> None:
        """Create the application.

        Args:
            predictor: Classifies the rows of requests.
            settings: Limits on requests.
            routes: Application for all other paths.
        """
        self._predictor = predictor
        self._settings = settings
        self._routes = routes
        name = predictor.name
        self._handlers: dict[str, tuple[_Handler, RequestMetrics]] = {
            f"/v1/models/{name}:predict": (self._predict, RequestMetrics(name, "v1")),
            f"/v2/models/{name}/infer": (self._infer, RequestMetrics(name, "v2")),
        }
        self._versioned_path = re.compile(rf"(/v2/models/{name})/versions/([^/]+)(/infer)")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._handlers.get(scope["path"]) or self._find_versioned(scope["path"])
        if found is None:
            await self._routes(scope, receive, send)
            return
        started = time.perf_counter()
        handle, metrics = found
        response = _INTERNAL_ERROR  # for any other exception; uvicorn logs its traceback
        try:
            headers = dict(scope["headers"])
            _check_method(scope["method"])
            response = await handle(headers, await self._read_body(headers, receive))
        except RequestError as error:
            response = _to_response(error)
        except ClientDisconnect:
            response = _CLIENT_GONE
        finally:
            metrics.observe(response.status, time.perf_counter() - started)
            await _send(response, send)

    def _find_versioned(self, path: str) -> tuple[_Handler, RequestMetrics] | None:
        """Return the handler of an address that names the version of the model."""
        match = self._versioned_path.fullmatch(path)
        if match is None:
            return None
        _, metrics = self._handlers[match[1] + match[3]]
        return partial(self._infer, version=match[2]), metrics

    async def _predict(self, headers: Headers, body: bytes) -> HttpResponse:
        _check_content_type(headers, (_JSON,))
        return await self._predictor.run(len(body), self._handle_v1, headers, body)

    def _handle_v1(self, headers: Headers, body: bytes) -> HttpResponse:
        model = self._predictor.find_model()
        inputs, options = v1_request.parse_request(
            body,
            self._predictor.mode,
            self._settings.max_rows,
            self._settings.max_nesting,
            model.release.manifest.missing_bands,
        )
        ids = _get(headers, _REQUEST_ID), _get(headers, _IDEMPOTENCY_KEY)
        prediction = self._predictor.predict(model, inputs, options, *ids)
        request_id = prediction.request_id.encode("latin-1")
        return HttpResponse(
            200,
            v1_response.write_response(prediction),
            ((b"content-type", _JSON), (_REQUEST_ID, request_id)),
        )

    async def _infer(self, headers: Headers, body: bytes, version: str = "") -> HttpResponse:
        _check_content_type(headers, (_JSON, _BYTES) if _JSON_LENGTH in headers else (_JSON,))
        return await self._predictor.run(len(body), self._handle_v2, headers, body, version)

    def _handle_v2(self, headers: Headers, body: bytes, version: str) -> HttpResponse:
        model = self._predictor.find_model(version)
        length = headers[_JSON_LENGTH].decode("latin-1") if _JSON_LENGTH in headers else None
        request, rest = v2.parse_request(body, length, self._settings.max_nesting)
        options = v2.get_options(request)
        outputs = v2.select_outputs(request, options, model)
        inputs = read_inputs(
            request.inputs,
            rest,
            self._predictor.mode,
            self._settings.max_rows,
            model.release.manifest.missing_bands,
        )
        ids = _get(headers, _REQUEST_ID) or request.id, _get(headers, _IDEMPOTENCY_KEY)
        prediction = self._predictor.predict(model, inputs, options, *ids)
        response_id = request.id or prediction.request_id
        written, json_length = v2.write_response(
            prediction, outputs, self._predictor.name, response_id
        )
        if json_length is None:
            return HttpResponse(200, written)
        length_header = (_JSON_LENGTH, str(json_length).encode())
        return HttpResponse(200, written, ((b"content-type", _BYTES), length_header))

    async def _read_body(self, headers: Headers, receive: Receive) -> bytes:
        """Read and decompress the body, up to the limit on its size."""
        limit = self._settings.max_body_bytes
        too_large = int(headers.get(b"content-length", 0)) > limit
        body, more = b"", True
        while more and not too_large:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body = body + message["body"] if body else message["body"]
            more, too_large = message["more_body"], len(body) > limit
        if too_large:
            raise RequestError(413, f"the body is larger than {limit} bytes: split the request")
        if _CONTENT_ENCODING in headers:
            encoding = headers[_CONTENT_ENCODING]
            return await self._predictor.run_in_thread(decompress, body, encoding, limit)
        return body


async def _send(response: HttpResponse, send: Send) -> None:
    length = (b"content-length", str(len(response.body)).encode())
    headers = [*response.headers, length]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def _to_response(error: RequestError) -> HttpResponse:
    headers = ((b"content-type", _JSON), *error.headers)
    return HttpResponse(error.status, orjson.dumps({"error": error.message}), headers)


def _get(headers: Headers, name: bytes) -> str | None:
    """Return the value of a header, or None if it is absent or empty."""
    value = headers.get(name)
    return value.decode("latin-1") if value else None


def _check_method(method: str) -> None:
    if method != "POST":
        raise RequestError(
            HTTPStatus.METHOD_NOT_ALLOWED,
            f"{method} is not allowed here: send a POST",
            ((b"allow", b"POST"),),
        )


def _check_content_type(headers: Headers, allowed: tuple[bytes, ...]) -> None:
    given = headers.get(b"content-type", _JSON)
    if given not in allowed and given.partition(b";")[0].strip().lower() not in allowed:
        expected = b" or ".join(allowed).decode()
        raise RequestError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the content type is {quote(given.decode('latin-1'))}, expected {expected}",
        )
