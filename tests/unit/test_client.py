"""The client retries temporary errors and raises all others."""

import json
import socket

import pandas as pd
import pytest

from skyclass.client import Client
from skyclass.errors import ServingError
from skyclass.survey.features import MAGNITUDES, Mode
from tests.support.web import Response, serve

METADATA = "GET /v2/models/skyclass-photometric"


def test_503_is_retried() -> None:
    found = Response(json.dumps({"versions": ["release"]}).encode())
    with serve(Response(status=503), Response(status=503), found) as web:
        assert Client(web.url + "/", Mode.PHOTOMETRIC).model_version() == "release"
        assert web.requests == [METADATA] * 3


def test_a_retry_keeps_its_idempotency_key_and_another_request_has_its_own() -> None:
    lost = Response(status=0)
    found = Response(json.dumps({"versions": ["release"]}).encode())
    with serve(lost, Response(status=503), found) as web:
        client = Client(web.url, Mode.PHOTOMETRIC)
        client.model_version()
        client.model_version()
        first, second, third, another = (each["Idempotency-Key"] for each in web.headers)
    assert first == second == third != another


@pytest.mark.parametrize("status", [400, 404, 422, 500])
def test_other_errors_are_not_retried(status: int) -> None:
    with serve(Response(b'{"error": "row 3: u is missing"}', status)) as web:
        with pytest.raises(ServingError, match=r"^row 3: u is missing$"):
            Client(web.url, Mode.PHOTOMETRIC).model_version()
        assert web.requests == [METADATA]


@pytest.mark.parametrize("body", [b"<html>", b"[]"])
def test_a_response_without_a_json_object_is_reported(body: bytes) -> None:
    with (
        serve(Response(body)) as web,
        pytest.raises(ServingError, match="status 200 and no JSON object: check that"),
    ):
        Client(web.url, Mode.PHOTOMETRIC).model_version()


def test_wait_ready_polls_until_the_model_is_ready() -> None:
    with serve(Response(status=503), Response(b"{}", 404), Response(b"{}")) as web:
        client = Client(web.url, Mode.PHOTOMETRIC)
        assert not client.is_ready()
        client.wait_ready(10)
        assert web.requests == [f"{METADATA}/ready"] * 3


@pytest.mark.slow
def test_an_unreachable_server_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(ServingError, match=f"at {url} is not ready after 0.2 s"):
        Client(url, Mode.PHOTOMETRIC).wait_ready(0.2)
    with pytest.raises(ServingError, match="skyclass serve --mode photometric"):
        Client(url, Mode.PHOTOMETRIC).model_version()


def test_a_batch_that_is_too_large_is_split() -> None:
    def answer(rows: int) -> Response:
        prediction = {"class": "STAR", "probabilities": {"GALAXY": 0, "QSO": 0, "STAR": 1}}
        found = {"predictions": [prediction] * rows, "model_version": "release"}
        return Response(json.dumps(found).encode())

    table = pd.DataFrame([dict.fromkeys(MAGNITUDES, 20.0)] * 5)
    seen: list[int] = []
    too_large = Response(b'{"error": "send it in parts"}', 413)
    with serve(too_large, answer(2), too_large, answer(1), answer(2)) as web:
        answers = Client(web.url, Mode.PHOTOMETRIC).classify(table, seen.append)
        sent = [len(json.loads(body)["instances"]) for body in web.bodies]
    assert sent == [5, 2, 3, 1, 2]
    assert answers["predicted"].tolist() == ["STAR"] * 5
    assert seen == [5]
    with (
        serve(too_large) as web,
        pytest.raises(ServingError, match="send it in parts"),
    ):
        Client(web.url, Mode.PHOTOMETRIC).classify(table)
