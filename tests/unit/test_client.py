"""The client retries temporary errors and raises all others."""

import json
import re
import socket
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pandas as pd
import pytest

from skyclass.client import PREDICTION_COLUMNS, Client
from skyclass.errors import ServingError
from skyclass.survey.features import MAGNITUDES, Mode
from tests.support.web import Response, serve

METADATA = "GET /v2/models/skyclass-photometric"
ROOT = Path(__file__).resolve().parents[2]


def test_client_needs_no_extra() -> None:
    code = "import sys, skyclass.client; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    distributions = packages_distributions()
    loaded = {
        name.lower()
        for module in done.stdout.split()
        for name in distributions.get(module.partition(".")[0], ())
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [each for extra in project["optional-dependencies"].values() for each in extra]
    required, optional = (
        {re.split(r"[^\w-]", each)[0] for each in requirements}
        for requirements in (project["dependencies"], extras)
    )
    assert required & loaded >= {"pandas", "urllib3"}
    assert not loaded & optional - required


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


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"predictions": [], "model_version": "release"},
        {"predictions": [{"class": "STAR"}] * 2, "model_version": "release"},
        {"predictions": ["STAR", "STAR"]},
    ],
)
def test_a_response_of_another_server_is_one_error(found: dict) -> None:
    with (
        serve(Response(json.dumps(found).encode())) as web,
        pytest.raises(ServingError, match="check that it is the URL of a predictor"),
    ):
        Client(web.url, Mode.PHOTOMETRIC).classify(TABLE)


@pytest.mark.parametrize("found", [{}, {"versions": None}, {"versions": []}])
def test_metadata_of_another_server_are_one_error(found: dict) -> None:
    with (
        serve(Response(json.dumps(found).encode())) as web,
        pytest.raises(ServingError, match="check that it is the URL of a predictor"),
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


TABLE = pd.DataFrame([{**dict.fromkeys(MAGNITUDES, 20.0), "psf_u": 20.5, "type": "STAR"}] * 2)


def respond(rows: int, **more: object) -> Response:
    prediction = {"class": "STAR", "probabilities": {"GALAXY": 0, "QSO": 0, "STAR": 1}, **more}
    found = {"predictions": [prediction] * rows, "model_version": "release"}
    return Response(json.dumps(found).encode())


def test_optional_inputs_and_options_are_sent() -> None:
    found = respond(2, groups=["psf"], labels=["QSO", "STAR"], certain=False, out_of_domain=True)
    with serve(found) as web:
        client = Client(web.url, Mode.PHOTOMETRIC)
        (first, _) = client.classify(TABLE, coverage=0.9, purity=0.8).to_dict("records")
        (body,) = web.bodies
    sent = json.loads(body)
    assert (sent["coverage"], sent["purity"]) == (0.9, 0.8)
    assert sent["instances"] == [{**dict.fromkeys(MAGNITUDES, 20.0), "psf_u": 20.5}] * 2
    added = ("predicted", "out_of_domain", "groups", "labels")
    assert [first[name] for name in added] == ["uncertain", True, "psf", "QSO STAR"]


def test_nothing_new_is_sent_for_a_table_of_required_inputs() -> None:
    with serve(respond(2)) as web:
        found = Client(web.url, Mode.PHOTOMETRIC).classify(TABLE[list(MAGNITUDES)])
        (body,) = web.bodies
    assert json.loads(body) == {"instances": [dict.fromkeys(MAGNITUDES, 20.0)] * 2}
    assert list(found.columns) == list(PREDICTION_COLUMNS)
    assert found["out_of_domain"].isna().all()


def test_a_predictor_of_an_older_version_gets_the_required_inputs() -> None:
    unknown = {"error": "row 0: 'psf_u' is not an input of skyclass-photometric, expected u, g"}
    with serve(Response(json.dumps(unknown).encode(), 422), respond(2)) as web:
        found = Client(web.url, Mode.PHOTOMETRIC).classify(TABLE)
        bodies = [json.loads(body) for body in web.bodies]
    assert bodies[1] == {"instances": [dict.fromkeys(MAGNITUDES, 20.0)] * 2}
    assert found["groups"].tolist() == ["", ""]


@pytest.mark.parametrize("option", ["coverage", "purity"])
def test_an_option_that_the_predictor_does_not_know_is_one_error(option: str) -> None:
    with (
        serve(respond(2)) as web,
        pytest.raises(ServingError, match=f"does not know {option}: upgrade it, or omit {option}"),
    ):
        Client(web.url, Mode.PHOTOMETRIC).classify(TABLE, **{option: 0.9})


def test_a_duplicate_optional_column_is_one_error() -> None:
    table = pd.concat([TABLE, TABLE[["psf_u"]]], axis=1)
    with pytest.raises(ServingError, match="duplicate column psf_u"):
        Client("http://127.0.0.1:9", Mode.PHOTOMETRIC).classify(table)


def test_infinite_values_count_as_missing() -> None:
    infinite = TABLE.assign(u=[float("inf"), 20.0], psf_u=[20.5, float("-inf")])
    with serve(respond(2)) as web:
        Client(web.url, Mode.PHOTOMETRIC).classify(infinite)
        (body,) = web.bodies
    magnitudes = dict.fromkeys(MAGNITUDES, 20.0)
    assert json.loads(body)["instances"] == [{**magnitudes, "u": None, "psf_u": 20.5}, magnitudes]
