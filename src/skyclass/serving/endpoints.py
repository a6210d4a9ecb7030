"""The addresses that classify objects, as plain ASGI: a framework would double what they cost."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from skyclass.serving.answers import write_v1, write_v2
from skyclass.serving.metrics import RequestCounts
from skyclass.serving.objects import Refusal
from skyclass.serving.predictor import Predictor
from skyclass.serving.settings import ServingSettings
from skyclass.serving.strict_json import parse_json
from skyclass.serving.tensors import parse_v2

_JSON, _BYTES = b"application/json", b"application/octet-stream"
_JSON_LENGTH = b"inference-header-content-length"
_REQUEST_ID = b"x-request-id"
_CLIENT_CLOSED_REQUEST = 499  # nginx's number: nobody will read the answer

Headers = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole HTTP answer; its headers are those beside the content's length."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", _JSON),)


_Endpoint = Callable[[Headers, bytes], Awaitable[Reply]]

_FAILED = Reply(500, orjson.dumps({"error": "the predictor failed: see its log"}))
_NOBODY_THERE = Reply(_CLIENT_CLOSED_REQUEST, b"")


class Endpoints:
    """Answers V1 and V2 predictions, and leaves every other address to an application behind."""

    def __init__(self, predictor: Predictor, settings: ServingSettings, others: ASGIApp) -> None:
        """Serve a predictor.

        Args:
            predictor: What is asked.
            settings: Limits on requests.
            others: Answers at all other addresses.
        """
        self._predictor = predictor
        self._settings = settings
        self._others = others
        self._endpoints: dict[str, tuple[_Endpoint, RequestCounts]] = {
            f"/v1/models/{predictor.name}:predict": (
                self._predict,
                RequestCounts(predictor.name, "v1"),
            ),
            f"/v2/models/{predictor.name}/infer": (
                self._infer,
                RequestCounts(predictor.name, "v2"),
            ),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        found = self._endpoints.get(scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self._others(scope, receive, send)
            return
        begun = time.perf_counter()
        answer, counts = found
        reply = _FAILED  # unless something below says otherwise; uvicorn logs the traceback
        try:
            headers = dict(scope["headers"])
            _check_method(scope["method"])
            reply = await answer(headers, await self._body(headers, receive))
        except Refusal as refusal:
            reply = refuse(refusal)
        except ClientDisconnect:
            reply = _NOBODY_THERE
        finally:
            counts.add(reply.status, time.perf_counter() - begun)
            await _send(reply, send)

    async def _predict(self, headers: Headers, body: bytes) -> Reply:
        """V1."""
        _check_type(headers, (_JSON,))
        return await self._predictor.run(len(body), self._answer_v1, headers, body)

    def _answer_v1(self, headers: Headers, body: bytes) -> Reply:
        payload = parse_json(body, self._settings.max_nesting)
        answer = self._predictor.predict(self._predictor.read_v1(payload, _request_id(headers)))
        request_id = answer.request_id.encode("latin-1")
        return Reply(200, write_v1(answer), ((b"content-type", _JSON), (_REQUEST_ID, request_id)))

    async def _infer(self, headers: Headers, body: bytes) -> Reply:
        """V2."""
        _check_type(headers, (_JSON, _BYTES) if _JSON_LENGTH in headers else (_JSON,))
        return await self._predictor.run(len(body), self._answer_v2, headers, body)

    def _answer_v2(self, headers: Headers, body: bytes) -> Reply:
        json_length = headers[_JSON_LENGTH].decode("latin-1") if _JSON_LENGTH in headers else None
        request = parse_v2(body, json_length, self._settings.max_nesting)
        answer = self._predictor.predict(self._predictor.read_v2(request, _request_id(headers)))
        written, length = write_v2(answer, request, self._predictor.name)
        if length is None:
            return Reply(200, written)
        return Reply(
            200, written, ((b"content-type", _BYTES), (_JSON_LENGTH, str(length).encode()))
        )

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        """Read the body, but no more of it than is allowed."""
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
            raise Refusal(413, f"the body is larger than {limit} bytes: send it in parts")
        return body


def refuse(refusal: Refusal) -> Reply:
    """The answer to a request that is refused."""
    headers = ((b"content-type", _JSON), *refusal.headers)
    return Reply(refusal.status, orjson.dumps({"error": refusal.message}), headers)


async def _send(reply: Reply, send: Send) -> None:
    length = (b"content-length", str(len(reply.body)).encode())
    headers = [*reply.headers, length]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def _request_id(headers: Headers) -> str | None:
    given = headers.get(_REQUEST_ID)
    return given.decode("latin-1") if given else None


def _check_method(method: str) -> None:
    if method != "POST":
        raise Refusal(
            HTTPStatus.METHOD_NOT_ALLOWED,
            f"{method} is not allowed at this address",
            ((b"allow", b"POST"),),
        )


def _check_type(headers: Headers, allowed: tuple[bytes, ...]) -> None:
    given = headers.get(b"content-type", _JSON)
    if given not in allowed and given.partition(b";")[0].strip().lower() not in allowed:
        names = b" or ".join(allowed).decode()
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the content type is not {names}")
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body is compressed: send it as it is")
