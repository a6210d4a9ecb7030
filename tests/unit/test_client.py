"""The client: what can be retried is, everything else is said at once."""

import json
import socket

import pandas as pd
import pytest

from skyclass.client import Client
from skyclass.errors import ServingError
from skyclass.survey.features import MAGNITUDES, Mode
from tests.support.web import Answer, serve

METADATA = "GET /v2/models/skyclass-photometric"


def test_a_server_that_is_busy_is_asked_again() -> None:
    found = Answer(json.dumps({"versions": ["release"]}).encode())
    with serve(Answer(status=503), Answer(status=503), found) as web:
        assert Client(web.url + "/", Mode.PHOTOMETRIC).model_version() == "release"
        assert web.requests == [METADATA] * 3


@pytest.mark.parametrize("status", [400, 404, 422, 500])
def test_another_answer_is_final(status: int) -> None:
    with serve(Answer(b'{"error": "row 3: u is missing"}', status)) as web:
        with pytest.raises(ServingError, match=r"^row 3: u is missing$"):
            Client(web.url, Mode.PHOTOMETRIC).model_version()
        assert web.requests == [METADATA]


@pytest.mark.parametrize("body", [b"<html>", b"[]"])
def test_an_answer_of_something_else_is_explained(body: bytes) -> None:
    with (
        serve(Answer(body)) as web,
        pytest.raises(ServingError, match="status 200 and no JSON object: check that"),
    ):
        Client(web.url, Mode.PHOTOMETRIC).model_version()


def test_it_waits_until_the_server_is_ready() -> None:
    with serve(Answer(status=503), Answer(b"{}", 404), Answer(b"{}")) as web:
        client = Client(web.url, Mode.PHOTOMETRIC)
        assert not client.is_ready()
        client.wait_ready(10)
        assert web.requests == [f"{METADATA}/ready"] * 3


def test_a_server_that_is_not_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(ServingError, match=f"at {url} is not ready after 0.2 s"):
        Client(url, Mode.PHOTOMETRIC).wait_ready(0.2)
    with pytest.raises(ServingError, match="skyclass serve --mode photometric"):
        Client(url, Mode.PHOTOMETRIC).model_version()


def test_what_is_too_large_is_sent_in_halves() -> None:
    def answer(rows: int) -> Answer:
        prediction = {"class": "STAR", "probabilities": {"GALAXY": 0, "QSO": 0, "STAR": 1}}
        found = {"predictions": [prediction] * rows, "model_version": "release"}
        return Answer(json.dumps(found).encode())

    table = pd.DataFrame([dict.fromkeys(MAGNITUDES, 20.0)] * 5)
    seen: list[int] = []
    too_large = Answer(b'{"error": "send it in parts"}', 413)
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
