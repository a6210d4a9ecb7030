"""Property tests: every request is served or rejected, and the server keeps running."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from skyclass.survey.features import INPUTS, Mode
from tests.support.predictor import ServerProcess, Site, publish, serving

pytestmark = pytest.mark.slow

MODE = Mode.SPECTROSCOPIC
V1 = "/v1/models/skyclass-spectroscopic:predict"
V2 = "/v2/models/skyclass-spectroscopic/infer"
VERSIONED = "/v2/models/skyclass-spectroscopic/versions/{version}/infer"
EXAMPLES, OPENAPI_EXAMPLES = 150, 40
QUICK = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

NAMES = st.sampled_from([*INPUTS[MODE], "plate", "instances", "inputs", "data", "shape", "name"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(NAMES, inner, max_size=7),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def server(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("release")
    release = publish(site, folder / "files", MODE, seed=0)
    address = f"s3://{site.settings.models_bucket}/{release.prefix}"
    with serving(site, MODE, address, folder / "log") as server:
        yield server
        assert server.process.poll() is None
        assert "Traceback" not in server.log


def check(server: ServerProcess, path: str, body: Any) -> None:
    response = server.request("POST", path, body)
    assert response.status in (200, 400, 413, 422)
    if response.status != 200:
        text = response.json()["error"]
        assert text
        assert "\n" not in text


@QUICK
@given(value=JSON, path=st.sampled_from([V1, V2]))
def test_any_json_is_served_or_rejected(server: ServerProcess, value: Any, path: str) -> None:
    check(server, path, value)
    check(server, path, {"instances": value, "inputs": value})


@QUICK
@given(body=st.binary(max_size=60), path=st.sampled_from([V1, V2]))
def test_any_bytes_are_served_or_rejected(server: ServerProcess, body: bytes, path: str) -> None:
    check(server, path, body)


@pytest.mark.parametrize("generation", list(GenerationMode))
@pytest.mark.parametrize("path", [V1, V2, VERSIONED])
def test_the_openapi_document_matches_the_server(
    server: ServerProcess, path: str, generation: GenerationMode
) -> None:
    document = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    # OpenAPI cannot express how shape and data of V2 depend on each other, so V2 may reject a
    # request that the document allows.
    excluded = [positive_data_acceptance] if path != V1 else []

    @settings(QUICK, max_examples=OPENAPI_EXAMPLES)
    @given(case=document[path]["POST"].as_strategy(generation_mode=generation))
    def send(case: schemathesis.Case) -> None:
        case.call_and_validate(excluded_checks=excluded)

    send()
