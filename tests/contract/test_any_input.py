"""Property tests: every request is served or rejected, and the server keeps running."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from skyclass.survey.features import ALL_INPUTS, INPUTS, Mode, model_name
from skyclass.training.uncertainty.conformal import calibrate_label_sets
from skyclass.training.uncertainty.purity_cuts import find_purity_cuts
from tests.support.predictor import ServerProcess, Site, publish, serving
from tests.support.uncertainty import draw_rows, make_patterns
from tests.support.wide_release import publish_wide

pytestmark = pytest.mark.slow

V1 = "/v1/models/{name}:predict"
V2 = "/v2/models/{name}/infer"
VERSIONED = "/v2/models/{name}/versions/{{version}}/infer"
EXAMPLES, OPENAPI_EXAMPLES = 150, 40
QUICK = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

NAMES = st.sampled_from(
    [
        *(INPUTS[Mode.SPECTROSCOPIC] + ALL_INPUTS[Mode.PHOTOMETRIC]),
        *("plate", "instances", "inputs", "data", "shape", "name", "coverage", "parameters"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(NAMES, inner, max_size=7),
    max_leaves=20,
)


@pytest.fixture(scope="module", params=list(Mode))
def mode(request: pytest.FixtureRequest) -> Mode:
    return Mode(request.param)


@pytest.fixture(scope="module")
def server(
    site: Site, tmp_path_factory: pytest.TempPathFactory, mode: Mode
) -> Iterator[ServerProcess]:
    """A server of a release that can provide every option, and needs all magnitudes."""
    folder = tmp_path_factory.mktemp("release")
    if mode is Mode.PHOTOMETRIC:
        release = publish_wide(site, folder / "files", missing_bands={})
    else:
        patterns = make_patterns(draw_rows(400, seed=0))
        options = {
            "label_sets": calibrate_label_sets(patterns),
            "purity_cuts": find_purity_cuts(patterns),
        }
        release = publish(site, folder / "files", mode, seed=0, **options)
    address = f"s3://{site.settings.models_bucket}/{release.prefix}"
    with serving(site, mode, address, folder / "log") as server:
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
def test_any_json_is_served_or_rejected(
    server: ServerProcess, mode: Mode, value: Any, path: str
) -> None:
    path = path.format(name=model_name(mode))
    check(server, path, value)
    check(server, path, {"instances": value, "inputs": value})


@QUICK
@given(body=st.binary(max_size=60), path=st.sampled_from([V1, V2]))
def test_any_bytes_are_served_or_rejected(
    server: ServerProcess, mode: Mode, body: bytes, path: str
) -> None:
    check(server, path.format(name=model_name(mode)), body)


@pytest.mark.parametrize("generation", list(GenerationMode))
@pytest.mark.parametrize("path", [V1, V2, VERSIONED])
def test_the_openapi_document_matches_the_server(
    server: ServerProcess, mode: Mode, path: str, generation: GenerationMode
) -> None:
    document = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    # OpenAPI cannot express how shape and data of V2 depend on each other, so V2 may reject a
    # request that the document allows.
    excluded = [positive_data_acceptance] if path != V1 else []

    @settings(QUICK, max_examples=OPENAPI_EXAMPLES)
    @given(
        case=document[path.format(name=model_name(mode))]["POST"].as_strategy(
            generation_mode=generation
        )
    )
    def send(case: schemathesis.Case) -> None:
        case.call_and_validate(excluded_checks=excluded)

    send()
