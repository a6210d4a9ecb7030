"""All protocols and forms of a request return the same prediction."""

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import urllib3
from google.protobuf.json_format import MessageToDict
from kserve import InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.infer_type import InferResponse

from skyclass.client import Client, RowError
from skyclass.errors import ServingError
from skyclass.registry.models import LoadedModel
from skyclass.serving.loading import fetch_release, load_release
from skyclass.serving.predictor import INLINE_BYTES
from skyclass.survey.features import INPUTS, Mode, model_name
from skyclass.survey.observation import CLASSES, KEY
from skyclass.tables.log.schema import PROBABILITIES
from tests.support.grpc_calls import connected, infer
from tests.support.predictor import (
    ServerProcess,
    Site,
    eventually,
    publish,
    serving,
    simulated,
)

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Served:
    """A server, and the model that it serves, loaded in this process."""

    server: ServerProcess
    model: LoadedModel
    mode: Mode

    @property
    def names(self) -> tuple[str, ...]:
        return INPUTS[self.mode]

    def v2(self, request: dict[str, Any] | bytes, headers: dict[str, str] | None = None) -> Any:
        response = self.server.request("POST", f"/v2/models/{self.name}/infer", request, headers)
        assert response.status == 200, response.data
        return response

    @property
    def name(self) -> str:
        return model_name(self.mode)


@pytest.fixture(
    scope="module",
    params=[
        (Mode.SPECTROSCOPIC, True),
        (Mode.PHOTOMETRIC, False),
    ],
    ids=["spectroscopic-onnx", "photometric-joblib"],
)
def served(
    request: pytest.FixtureRequest, site: Site, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    mode, onnx = request.param
    folder = tmp_path_factory.mktemp("release")
    release = publish(site, folder, mode, seed=0, onnx=onnx)
    address = f"s3://{site.settings.models_bucket}/{release.prefix}"
    model = load_release(fetch_release(release, site.registry, site.settings.home), mode)
    assert model.engine_name == ("onnx" if onnx else "joblib")
    with serving(site, mode, address, folder / "log") as server:
        yield Served(server, model, mode)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """More rows than are handled inline; their values are exact in single precision."""
    rows = simulated(192, seed=5)
    assert rows.memory_usage(index=False).sum() > INLINE_BYTES
    inputs = list(INPUTS[Mode.SPECTROSCOPIC])
    return rows.astype({name: "float32" for name in inputs}).astype(
        {name: "float64" for name in inputs}
    )


@pytest.fixture
def inputs(served: Served, rows: pd.DataFrame) -> Matrix:
    return rows[list(served.names)].to_numpy()


@pytest.fixture
def expected(served: Served, inputs: Matrix) -> Matrix:
    return served.model.predict_probabilities(inputs)


def v1_probabilities(served: Served, instances: Any) -> Matrix:
    response = served.server.predict(instances, served.mode)
    assert response["model_version"] == served.model.release.id
    for prediction in response["predictions"]:
        probabilities = prediction["probabilities"]
        assert list(probabilities) == list(CLASSES)
        assert prediction["class"] == max(probabilities, key=probabilities.__getitem__)
        assert "flags" not in prediction
    return np.array([list(each["probabilities"].values()) for each in response["predictions"]])


def v2_probabilities(served: Served, response: dict[str, Any]) -> Matrix:
    assert response["model_name"] == served.name
    assert response["model_version"] == served.model.release.id
    classes, probabilities = response["outputs"]
    rows = classes["shape"][0]
    assert classes == {**classes, "name": "class", "datatype": "BYTES", "shape": [rows]}
    assert (probabilities["name"], probabilities["datatype"]) == ("probabilities", "FP32")
    assert probabilities["shape"] == [rows, len(CLASSES)]
    values = np.array(probabilities["data"]).reshape(rows, len(CLASSES))
    assert classes["data"] == [CLASSES[at] for at in values.argmax(axis=1)]
    return values


def matrix(inputs: Matrix, data: Any, datatype: str = "FP64") -> dict[str, Any]:
    return {"name": "x", "shape": list(inputs.shape), "datatype": datatype, "data": data}


def test_v1_by_position(served: Served, inputs: Matrix, expected: Matrix) -> None:
    np.testing.assert_array_equal(v1_probabilities(served, inputs.tolist()), expected)


def test_v1_by_name_in_any_order(served: Served, inputs: Matrix, expected: Matrix) -> None:
    rng = np.random.default_rng(0)
    records = [
        {served.names[at]: row[at] for at in rng.permutation(len(row))} for row in inputs.tolist()
    ]
    np.testing.assert_array_equal(v1_probabilities(served, records), expected)


def test_v1_one_at_a_time(served: Served, inputs: Matrix, expected: Matrix) -> None:
    for row, wanted in zip(inputs[:20].tolist(), expected, strict=False):
        np.testing.assert_allclose(v1_probabilities(served, [row]), [wanted], atol=1e-7)


@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
def test_v2_as_one_matrix(served: Served, inputs: Matrix, expected: Matrix, datatype: str) -> None:
    for data in (inputs.ravel().tolist(), inputs.tolist()):
        response = served.v2({"inputs": [matrix(inputs, data, datatype)]}).json()
        np.testing.assert_allclose(v2_probabilities(served, response), expected, atol=1e-7)


def test_v2_as_columns_in_any_order(served: Served, inputs: Matrix, expected: Matrix) -> None:
    rows = len(inputs)
    columns = [
        {"name": name, "shape": [rows], "datatype": "FP64", "data": values}
        for name, values in zip(served.names, inputs.T.tolist(), strict=True)
    ]
    columns[1] |= {"shape": [rows, 1]}
    columns[2] |= {"shape": [rows, 1], "data": [[value] for value in columns[2]["data"]]}
    response = served.v2({"inputs": columns[::-1]}).json()
    np.testing.assert_allclose(v2_probabilities(served, response), expected, atol=1e-7)


@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
def test_v2_as_bytes_both_ways(
    served: Served, inputs: Matrix, expected: Matrix, dtype: str
) -> None:
    raw = inputs.astype(dtype).tobytes()
    tensor = {
        "name": "x",
        "shape": list(inputs.shape),
        "datatype": {"<f4": "FP32", "<f8": "FP64"}[dtype],
        "parameters": {"binary_data_size": len(raw)},
    }
    request = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
    head = json.dumps(request).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }
    response = served.v2(head + raw, headers)

    length = int(response.headers["Inference-Header-Content-Length"])
    response = InferResponse.from_bytes(response.data, length)
    got = response.get_output_by_name("probabilities").as_numpy()
    np.testing.assert_allclose(got, expected, atol=1e-7)
    classes = response.get_output_by_name("class").as_numpy().tolist()
    assert classes == [CLASSES[at] for at in got.argmax(axis=1)]


def test_v2_returns_only_requested_outputs(served: Served, inputs: Matrix) -> None:
    request = {
        "inputs": [matrix(inputs, inputs.tolist())],
        "outputs": [{"name": "class", "parameters": {"binary_data": False}}],
    }
    outputs = served.v2(request).json()["outputs"]
    assert [output["name"] for output in outputs] == ["class"]


@pytest.mark.parametrize("binary", [False, True])
def test_kserves_client_works(
    served: Served, inputs: Matrix, expected: Matrix, binary: bool
) -> None:
    tensor = InferInput("x", list(inputs.shape), "FP64")
    tensor.set_data_from_numpy(inputs, binary_data=binary)
    request = InferRequest(served.name, [tensor], parameters={"binary_data_output": binary})

    async def infer() -> InferResponse:
        client = InferenceRESTClient(RESTConfig(protocol="v2"))
        return await client.infer(served.server.url, request, model_name=served.name)

    response = asyncio.run(infer())
    got = np.asarray(response.get_output_by_name("probabilities").as_numpy())
    np.testing.assert_allclose(got, expected, atol=1e-7)


@pytest.mark.parametrize("raw", [False, True])
def test_grpc_as_numbers_and_as_bytes(
    served: Served, inputs: Matrix, expected: Matrix, raw: bool
) -> None:
    described = {"name": "x", "shape": inputs.shape, "datatype": "FP64"}
    typed = {**described, "contents": {"fp64_contents": inputs.ravel()}}
    request = {"inputs": [described], "raw_input_contents": [inputs.astype("<f8").tobytes()]}
    with connected(served.server.grpc) as stub:
        got = infer(stub, served.name, id="mine", **(request if raw else {"inputs": [typed]}))
    assert (got.id, got.model_version) == ("mine", served.model.release.id)
    response = InferResponse.from_grpc(got)
    probabilities = np.asarray(response.get_output_by_name("probabilities").as_numpy())
    np.testing.assert_allclose(probabilities, expected, atol=1e-7)
    classes = response.get_output_by_name("class").as_numpy().tolist()
    assert [name.decode() if isinstance(name, bytes) else name for name in classes] == [
        CLASSES[at] for at in probabilities.argmax(axis=1)
    ]


def test_grpc_flags_values_outside_the_surveys_range(served: Served, inputs: Matrix) -> None:
    odd = [300, *inputs[0, 1:]]
    tensor = {"name": "x", "shape": [1, len(odd)], "datatype": "FP32"}
    tensor["contents"] = {"fp32_contents": odd}
    with connected(served.server.grpc) as stub:
        response = infer(stub, served.name, inputs=[tensor], outputs=[{"name": "class"}])
    assert response.parameters["flags"].string_param == "row 0: u outside 5 to 35"
    assert [output.name for output in response.outputs] == ["class"]


def test_grpc_metadata_equals_v2_metadata(served: Served) -> None:
    with connected(served.server.grpc) as stub:
        assert stub.ServerLive(pb.ServerLiveRequest()).live
        assert stub.ServerReady(pb.ServerReadyRequest()).ready
        assert stub.ModelReady(pb.ModelReadyRequest(name=served.name)).ready
        server = stub.ServerMetadata(pb.ServerMetadataRequest())
        model = stub.ModelMetadata(pb.ModelMetadataRequest(name=served.name))
        version = served.model.release.id
        assert stub.ModelReady(pb.ModelReadyRequest(name=served.name, version=version)).ready
        for other in ({"name": "other"}, {"name": served.name, "version": "9"}):
            with pytest.raises(grpc.RpcError, match="NOT_FOUND"):
                stub.ModelReady(pb.ModelReadyRequest(**other))
    for message, path in ((server, "/v2"), (model, f"/v2/models/{served.name}")):
        shown = MessageToDict(message, preserving_proto_field_name=True)
        wanted = served.server.request("GET", path).json()
        for tensor in (*shown.get("inputs", ()), *shown.get("outputs", ())):
            tensor["shape"] = [int(size) for size in tensor["shape"]]
        assert shown == wanted


def test_client_classifies_a_table_of_any_length(served: Served, rows: pd.DataFrame) -> None:
    table = pd.concat([rows] * 6, ignore_index=True)  # more than one batch
    table.index = table.index[::-1]
    predictions = Client(served.server.url, served.mode).classify(table.drop(columns=list(KEY)))
    assert predictions.index.equals(table.index)
    expected = served.model.predict_probabilities(table[list(served.names)].to_numpy())
    np.testing.assert_allclose(predictions[list(PROBABILITIES)], expected, atol=1e-7)
    assert set(predictions["model_version"]) == {served.model.release.id}
    assert set(predictions["flags"]) == {""}


def test_client_raises_the_servers_message(served: Served, rows: pd.DataFrame) -> None:
    client = Client(served.server.url, served.mode)
    client.wait_ready(5)
    assert client.model_version() == served.model.release.id
    table = pd.concat([rows] * 6, ignore_index=True)
    table.loc[1003, "g"] = np.nan
    with pytest.raises(RowError, match="row 1003 of the table, counted from 0: g is null") as error:
        client.classify(table)
    assert error.value.row == 1003
    with pytest.raises(ServingError, match="missing column u"):
        client.classify(table.drop(columns="u"))


def test_values_outside_the_surveys_range_are_flagged(served: Served, inputs: Matrix) -> None:
    odd = inputs[:3].copy()
    odd[1, 0], odd[1, 4] = 300, 4.9
    plain, flagged, last = served.server.predict(odd.tolist(), served.mode)["predictions"]
    assert flagged["flags"] == ["u outside 5 to 35", "z outside 5 to 35"]
    assert "flags" not in plain
    assert "flags" not in last
    response = served.v2({"inputs": [matrix(odd, odd.tolist())]}).json()
    assert response["parameters"] == {"flags": "row 1: u outside 5 to 35; row 1: z outside 5 to 35"}


def test_v2_metadata_lists_inputs_outputs_and_the_release(served: Served) -> None:
    found = served.server.request("GET", f"/v2/models/{served.name}").json()
    assert found["name"] == served.name
    assert found["versions"] == [served.model.release.id]
    assert [each["name"] for each in found["inputs"]] == list(served.names)
    assert {each["name"]: each["shape"] for each in found["outputs"]} == {
        "class": [-1],
        "probabilities": [-1, 3],
    }


def test_v2_addresses_that_name_the_served_version(served: Served, inputs: Matrix) -> None:
    plain = f"/v2/models/{served.name}"
    versioned = f"{plain}/versions/{served.model.release.id}"
    body = {"id": "mine", "inputs": [matrix(inputs, inputs.tolist())]}
    for suffix in ("", "/ready"):
        wanted = served.server.request("GET", plain + suffix).json()
        assert served.server.request("GET", versioned + suffix).json() == wanted
    wanted = served.server.request("POST", f"{plain}/infer", body).json()
    assert served.server.request("POST", f"{versioned}/infer", body).json() == wanted


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/models",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models",
        "/metrics",
        "/openapi.json",
    ],
)
def test_health_and_metadata_routes(served: Served, path: str) -> None:
    assert served.server.request("GET", path).status == 200


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_model_readiness(served: Served, version: str) -> None:
    suffix = "/ready" if version == "v2" else ""
    response = served.server.request("GET", f"/{version}/models/{served.name}{suffix}")
    assert response.json() == {"name": served.name, "ready": True}


def test_the_request_id_is_returned(served: Served, inputs: Matrix) -> None:
    tensor = matrix(inputs[:1], inputs[:1].tolist())
    for name in ("mine", "mein Gerät\r\nX-Injected: 星"):
        assert served.v2({"id": name, "inputs": [tensor]}).json()["id"] == name
    first, second = (served.v2({"inputs": [tensor]}).json()["id"] for _ in range(2))
    assert len(first) == len(second) == 36
    assert first != second

    def v1(headers: dict[str, str]) -> str:
        path = f"/v1/models/{served.name}:predict"
        response = served.server.request("POST", path, {"instances": inputs[:1].tolist()}, headers)
        return response.headers["X-Request-Id"]

    assert v1({"X-Request-Id": "mine"}) == "mine"
    assert v1({}) != v1({})


def count_requests(served: Served, protocol: str, status: str) -> float:
    labels = f'model_name="{served.name}",protocol="{protocol}",status="{status}"'
    return served.server.metric(f"skyclass_request_seconds_count{{{labels}}}")


def test_requests_are_counted_by_protocol_and_status(served: Served, inputs: Matrix) -> None:
    counters = [("v1", "2xx"), ("v1", "4xx"), ("v1", "5xx"), ("v2", "2xx"), ("v2", "4xx")]
    before = [count_requests(served, *each) for each in counters]
    served.server.predict(inputs[:1].tolist(), served.mode)
    served.v2({"inputs": [matrix(inputs[:1], inputs[:1].tolist())]})
    for path, times in (
        (f"/v1/models/{served.name}:predict", 2),
        (f"/v2/models/{served.name}/infer", 1),
    ):
        for _ in range(times):
            assert served.server.request("POST", path, {}).status == 400
    after = [count_requests(served, *each) for each in counters]
    assert [last - first for first, last in zip(before, after, strict=True)] == [1, 2, 0, 1, 1]


def test_a_client_that_does_not_wait_is_no_error_of_the_server(
    served: Served, inputs: Matrix
) -> None:
    rows = np.tile(inputs, (25, 1))
    request = pb.ModelInferRequest(
        model_name=served.name,
        inputs=[{"name": "rows", "shape": rows.shape, "datatype": "FP64"}],
        raw_input_contents=[rows.tobytes()],
    )
    before = {status: count_requests(served, "grpc", status) for status in ("4xx", "5xx")}
    deadlines = itertools.cycle(number / 1000 for number in range(2, 50))
    with connected(served.server.grpc) as stub:

        def give_up() -> bool:
            """Send a request with another deadline, of which some end it while it is computed."""
            try:
                stub.ModelInfer(request, timeout=next(deadlines))
            except grpc.RpcError as error:
                assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            return count_requests(served, "grpc", "4xx") > before["4xx"]

        eventually(give_up, 60)
    assert count_requests(served, "grpc", "5xx") == before["5xx"]


def test_probes_are_fast_during_large_requests(served: Served, inputs: Matrix) -> None:
    bulk = json.dumps({"instances": np.tile(inputs, (25, 1)).tolist()}).encode()
    path = f"/v1/models/{served.name}:predict"
    ended, bulk_seconds = threading.Event(), []

    def send_large_requests() -> None:
        with urllib3.PoolManager(retries=False) as connection:
            while not ended.is_set():
                begun = time.monotonic()
                response = connection.request("POST", served.server.url + path, body=bulk)
                assert response.status == 200
                bulk_seconds.append(time.monotonic() - begun)

    callers = [threading.Thread(target=send_large_requests) for _ in range(4)]
    for caller in callers:
        caller.start()
    try:
        eventually(lambda: bulk_seconds, 30)
        probes: list[float] = []
        while len(bulk_seconds) < 20 or len(probes) < 5:
            begun = time.monotonic()
            assert served.server.request("GET", f"/v2/models/{served.name}/ready").status == 200
            probes.append(time.monotonic() - begun)
    finally:
        ended.set()
        for caller in callers:
            caller.join()
    assert np.median(probes) < np.median(bulk_seconds) / 2
