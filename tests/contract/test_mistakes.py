"""Every invalid request gets the documented status and error, and has no side effects."""

import gzip
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from skyclass.promotion.local import LocalChampionStore
from skyclass.survey.features import INPUTS, Mode
from tests.support.grpc_calls import connected, error_of, infer, to_grpc
from tests.support.predictor import ServerProcess, Site, publish, serving

MAX_ROWS, MAX_BYTES = 50, 20_000
MODEL = "skyclass-spectroscopic"
V1 = f"/v1/models/{MODEL}:predict"
V2 = f"/v2/models/{MODEL}/infer"
NAMES = INPUTS[Mode.SPECTROSCOPIC]
GOOD = [21.2, 18.9, 17.7, 17.1, 16.8, 0.17]
RECORD = dict(zip(NAMES, GOOD, strict=True))
DETAILS = (
    "Traceback",
    "File ",
    ".py",
    "site-packages",
    "numpy",
    "orjson",
    "msgspec",
    "kserve",
    "starlette",
)


VALID = json.dumps({"instances": [GOOD]}).encode()
COMPRESSED = [
    ("unknown encoding", 415, "br", VALID, "encoding is 'br', expected gzip, deflate or none"),
    ("two encodings", 415, "gzip, gzip", VALID, "encoding is 'gzip, gzip'"),
    ("not gzip", 400, "gzip", VALID, "the body is not gzip: compress it again"),
    ("not deflate", 400, "deflate", gzip.compress(VALID), "the body is not deflate"),
    ("nothing as gzip", 400, "gzip", b"", "gzip body is truncated after 0 bytes"),
    ("truncated gzip", 400, "gzip", gzip.compress(VALID)[:-1], "gzip body is truncated"),
    ("truncated deflate", 400, "deflate", zlib.compress(VALID)[:-1], "deflate body is truncated"),
    ("wrong checksum", 400, "gzip", gzip.compress(VALID)[:-8] + bytes(8), "not gzip"),
    ("two gzip members", 400, "gzip", gzip.compress(VALID) * 2, "bytes after its end: remove"),
    (
        "too large when decompressed",
        413,
        "gzip",
        gzip.compress(b" " * (MAX_BYTES + 1)),
        f"larger than {MAX_BYTES} bytes when decompressed: split",
    ),
    ("no JSON in gzip", 400, "gzip", gzip.compress(b"["), "the body is not JSON"),
]
"""Name, status, encoding, body and words of the error of compressed requests."""


@dataclass(frozen=True)
class InvalidRequest:
    """An invalid request, its status, and text that the error must contain."""

    name: str
    status: int
    words: tuple[str, ...]
    body: Any = None
    path: str = V1
    method: str = "POST"
    headers: dict[str, str] | None = None


def v1(name: str, status: int, rows: Any, *words: str) -> InvalidRequest:
    return InvalidRequest(f"V1 {name}", status, words, {"instances": rows})


def cell(name: str, value: Any, *words: str, status: int = 422) -> InvalidRequest:
    """A valid row, and one with an invalid third value, which need not be JSON."""
    good, bad = json.dumps(GOOD), json.dumps([*GOOD[:2], "VALUE", *GOOD[3:]])
    text = value if isinstance(value, str) else json.dumps(value)
    body = f'{{"instances": [{good}, {bad}]}}'.replace('"VALUE"', text)
    return InvalidRequest(f"V1 cell {name}", status, words, body.encode())


def tensor(data: Any = None, shape: Any = (1, 6), **changes: Any) -> dict[str, Any]:
    data = GOOD if data is None else data
    return {"name": "x", "shape": list(shape), "datatype": "FP64", "data": data, **changes}


def v2(name: str, status: int, inputs: Any, *words: str, **more: Any) -> InvalidRequest:
    return InvalidRequest(f"V2 {name}", status, words, {"inputs": inputs, **more}, V2)


def v2_bytes(name: str, body: bytes, length: str, *words: str) -> InvalidRequest:
    headers = {"Inference-Header-Content-Length": length}
    return InvalidRequest(f"V2 binary {name}", 400, words, body, V2, headers=headers)


def columns(**changes: Any) -> list[dict[str, Any]]:
    values = {**RECORD, **changes}
    return [tensor([value], [1], name=name) for name, value in values.items() if value is not None]


NESTED = b'{"instances": ' + b"[" * 16 + b"]" * 16 + b"}"
HEAD = json.dumps(
    {"inputs": [{**tensor(), "data": None, "parameters": {"binary_data_size": 48}}]}
).encode()
HEAD = HEAD.replace(b', "data": null', b"")
DATA = struct.pack("<6d", *GOOD)

INVALID_REQUESTS = [
    *(
        invalid
        for version, path in (("V1", V1), ("V2", V2))
        for invalid in (
            InvalidRequest(f"{version} empty body", 400, ("empty",), b"", path),
            InvalidRequest(
                f"{version} truncated", 400, ("not JSON",), b'{"instances": [[1, 2', path
            ),
            InvalidRequest(
                f"{version} trailing comma", 400, ("not JSON",), b'{"instances": [],}', path
            ),
            InvalidRequest(f"{version} plain text", 400, ("not JSON",), b"hello", path),
            InvalidRequest(f"{version} not UTF-8", 400, ("not JSON",), b'{"inputs": "\xff"}', path),
            InvalidRequest(f"{version} deep nesting", 413, ("16 deep",), b"[" * 5000, path),
            InvalidRequest(f"{version} nesting", 413, ("16 deep",), NESTED, path),
            InvalidRequest(
                f"{version} key twice", 400, ("duplicate key 'a'",), b'{"a": 1, "a": 1}', path
            ),
            InvalidRequest(f"{version} empty object", 400, ("missing",), {}, path),
            InvalidRequest(f"{version} top-level list", 400, ("a list",), [], path),
            InvalidRequest(f"{version} top-level text", 400, ("text",), "x", path),
            InvalidRequest(f"{version} top-level number", 400, ("a number",), 5, path),
            InvalidRequest(f"{version} top-level null", 400, ("null",), b"null", path),
            InvalidRequest(f"{version} too many bytes", 413, ("20000 bytes",), b" " * 20_001, path),
            InvalidRequest(f"{version} GET", 405, ("GET",), None, path, "GET"),
            InvalidRequest(f"{version} PUT", 405, ("PUT",), {}, path, "PUT"),
            *(
                InvalidRequest(
                    f"{version} {kind}", 415, ("json",), b"{}", path, headers={"Content-Type": kind}
                )
                for kind in ("text/plain", "text/xml", "application/x-www-form-urlencoded")
            ),
            *(
                InvalidRequest(
                    f"{version} {name}",
                    status,
                    (words,),
                    body,
                    path,
                    headers={"Content-Type": "application/json", "Content-Encoding": encoding},
                )
                for name, status, encoding, body, words in COMPRESSED
            ),
            InvalidRequest(
                f"{version} long request id",
                400,
                ("id", "128"),
                {"instances": [GOOD], "inputs": [tensor()]},
                path,
                headers={"Content-Type": "application/json", "X-Request-Id": "x" * 129},
            ),
            InvalidRequest(
                f"{version} unknown model",
                404,
                ("only model is skyclass-spectroscopic",),
                {},
                path.replace("sky", "sea"),
            ),
        )
    ),
    v1("instances not a list", 400, {"u": 1}, "instances", "an object"),
    v1("instances null", 400, None, "instances"),
    v1("no rows", 400, [], "no rows"),
    v1("five features", 422, [GOOD, GOOD[:5]], "row 1", "5 values", "skyclass-photometric"),
    v1("seven features", 422, [[*GOOD, 1.0]], "row 0", "7 values"),
    v1("ragged", 422, [GOOD, GOOD[:4], GOOD], "row 1", "4 values"),
    v1("empty row", 422, [GOOD, []], "row 1", "0 values"),
    v1("flat row", 422, GOOD, "row 0", "a number"),
    v1("rows of two kinds", 422, [GOOD, RECORD], "row 1", "an object"),
    v1("too many rows", 413, [GOOD] * (MAX_ROWS + 1), "51", "50"),
    v1("null in a record", 422, [RECORD, {**RECORD, "u": None}], "row 1", "u is null"),
    *(
        v1(
            f"without {name}",
            422,
            [RECORD, {key: value for key, value in RECORD.items() if key != name}],
            "row 1",
            f"{name} is missing",
        )
        for name in NAMES
    ),
    v1(
        "without redshift",
        422,
        [{name: RECORD[name] for name in NAMES[:5]}],
        "row 0: redshift is missing",
        "skyclass-photometric",
    ),
    InvalidRequest(
        "V1 key twice in a row",
        400,
        ("row 1: duplicate key 'g'",),
        f'{{"instances": [{json.dumps(RECORD)}, {json.dumps(RECORD)[:-1]}, "g": 1}}]}}'.encode(),
    ),
    v1("renamed key", 422, [{**dict(list(RECORD.items())[1:]), "U": 1.0}], "row 0", "u is missing"),
    v1("extra key", 422, [RECORD, {**RECORD, "ra": 1.0}], "row 1", "'ra'"),
    v1("list in a record", 422, [{**RECORD, "g": [1.0]}], "row 0", "g is a list"),
    v1("half a key", 422, [RECORD, {**RECORD, "plate": 1}], "row 1", "mjd is missing"),
    v1(
        "key of text",
        422,
        [RECORD, {**RECORD, "plate": 1, "mjd": "x", "fiber_id": 1}],
        "row 1: mjd is text ('x')",
    ),
    *(
        v1(
            f"key of {value}",
            422,
            [RECORD, {**RECORD, "plate": 1, "mjd": 1, "fiber_id": value}],
            "row 1: fiber_id is a number",
        )
        for value in (0, -1, 1.5, 2**31, 1e300)
    ),
    cell("text", '"abc"', "row 1", "r is text ('abc')"),
    cell("long text", json.dumps("a" * 1000), "row 1", "r is text ('aaaaaaaaaaaaaaaaaaaa…')"),
    cell("numeric string", '"20.1"', "row 1", "r is text ('20.1')"),
    cell("true", True, "row 1", "r is true"),
    cell("null", None, "row 1", "r is null"),
    cell("list", [1], "row 1", "r is a list"),
    cell("object", {}, "row 1", "r is an object"),
    cell("NaN", "NaN", "not JSON", status=400),
    cell("Infinity", "Infinity", "not JSON", status=400),
    cell("minus Infinity", "-Infinity", "not JSON", status=400),
    cell("1e400", "1e400", "not JSON", status=400),
    cell("1e39", 1e39, "row 1", "r is 1e+39"),
    cell("3e38", 3e38, "row 1", "r is 3e+38"),
    cell("sentinel", -9999, "row 1", "r was not measured"),
    cell("float sentinel", -9999.0, "row 1", "r was not measured"),
    v2("inputs not a list", 400, {}, "inputs", "an object"),
    v2("no inputs", 400, [], "inputs is empty"),
    v2("input not an object", 400, [5], "inputs[0]"),
    v2("no name", 400, [tensor(name=None)], "inputs[0]", "name"),
    v2("no datatype", 400, [tensor(datatype=None)], "inputs[0]", "datatype"),
    *(
        v2(f"datatype {datatype}", 400, [tensor(datatype=datatype)], "inputs[0]", "FP32, FP64")
        for datatype in ("FP16", "FP128", "BYTES", "BOOL", "INT64", "fp32", 7, [1])
    ),
    v2("no shape", 400, [tensor(shape=()) | {"shape": None}], "inputs[0].shape is null"),
    *(
        v2(f"shape {shape}", 400, [tensor(shape=shape)], "shape")
        for shape in ((-1, 6), (1, -6), (1.0, 6), (True, 6), ("1", 6), (2, 6), (10**30, 6))
    ),
    v2("shape [6]", 422, [tensor(shape=(6,))], "shape [6]", "2 dimensions"),
    v2("shape [1, 1, 6]", 422, [tensor(shape=(1, 1, 6))], "shape [1, 1, 6]", "2 dimensions"),
    v2("no rows", 400, [tensor([], (0, 6))], "no rows"),
    v2("five features", 422, [tensor(GOOD[:5], (1, 5))], "row 0", "5 values", "photometric"),
    v2("seven features", 422, [tensor([*GOOD, 1.0], (1, 7))], "row 0", "7 values"),
    v2("nested, another shape", 400, [tensor([GOOD, GOOD], (1, 6))], "2 rows"),
    v2("nested, other rows", 400, [tensor([GOOD[:3], GOOD[3:]], (2, 6))], "rows of 3"),
    v2("ragged", 422, [tensor([GOOD, GOOD[:5]], (2, 6))], "row 1", "5 values"),
    v2("too many rows", 413, [tensor(GOOD * 51, (51, 6))], "51", "50"),
    v2("no data", 400, [tensor() | {"data": None}], "inputs[0].data is null"),
    v2("data an object", 400, [tensor() | {"data": {}}], "data is an object"),
    v2("text", 422, [tensor([*GOOD * 3, "abc", *GOOD[1:]], (4, 6))], "row 3: u is text ('abc')"),
    v2("numeric string", 422, [tensor(["20.1", *GOOD[1:]])], "row 0: u is text ('20.1')"),
    v2("true", 422, [tensor([*GOOD[:5], True])], "row 0: redshift is true"),
    v2("null", 422, [tensor([*GOOD[:5], None])], "row 0: redshift is null"),
    v2("1e39", 422, [tensor([*GOOD[:5], 1e39], datatype="FP32")], "row 0: redshift is 1e+39"),
    v2("sentinel", 422, [tensor([*GOOD[:5], -9999])], "row 0: redshift was not", "photometric"),
    v2("column of text", 422, columns(z="abc"), "row 0: z is text ('abc')"),
    v2("column renamed", 400, [*columns(z=None), tensor([1], [1], name="Z")], "column each"),
    v2("column missing", 400, columns(z=None), "column each"),
    v2("column twice", 400, [*columns(), columns()[0]], "column each"),
    v2("extra column", 400, [*columns(), tensor([1], [1], name="ra")], "column each"),
    v2("no redshift", 422, columns(redshift=None), "redshift is missing", "skyclass-photometric"),
    v2(
        "columns of two lengths",
        400,
        [*columns(z=None), tensor([1, 2], [2], name="z")],
        "z has the shape [2]",
    ),
    v2("columns without rows", 400, [tensor([], [0], name=name) for name in NAMES], "no rows"),
    *(
        InvalidRequest(
            f"V1 {name} of {value}",
            400,
            (f"{name} is {words}, expected a number between 0 and 1",),
            {"instances": [GOOD], name: value},
        )
        for name in ("coverage", "purity")
        for value, words in (
            (0, "a number (0)"),
            (1, "a number (1)"),
            (1.5, "a number (1.5)"),
            (-0.1, "a number (-0.1)"),
            (True, "true"),
            ("0.95", "text ('0.95')"),
            ([0.95], "a list"),
        )
    ),
    *(
        v2(
            f"{name} of {value}",
            400,
            [tensor()],
            f"parameters.{name} is {words}, expected a number between 0 and 1",
            parameters={name: value},
        )
        for name in ("coverage", "purity")
        for value, words in (
            (0, "a number (0)"),
            (1.5, "a number (1.5)"),
            (False, "false"),
            ("0.0", "text ('0.0')"),
            ("1", "text ('1')"),
            ("nan", "text ('nan')"),
            ("95 %", "text ('95 %')"),
            ("0." + "9" * 17, f"text ('0.{'9' * 17}')"),
        )
    ),
    *(
        invalid
        for name, words in (("coverage", "no label sets"), ("purity", "no purity cuts"))
        for invalid in (
            InvalidRequest(
                f"V1 {name} of an old release",
                422,
                (words, "train a new release"),
                {"instances": [GOOD], name: 0.95},
            ),
            v2(
                f"{name} of an old release",
                422,
                [tensor()],
                words,
                "train a new release",
                parameters={name: "0.95"},
            ),
        )
    ),
    *(
        v2(f"output {name}", 422, [tensor()], f"{name}, which needs", outputs=[{"name": name}])
        for name in ("labels", "certain", "out_of_domain")
    ),
    v2("id not text", 400, [tensor()], "id is a number", id=5),
    v2("parameters a list", 400, [tensor(parameters=[1])], "parameters is a list"),
    v2("unknown output", 400, [tensor()], "outputs[0]", outputs=[{"name": "logits"}]),
    v2("outputs not a list", 400, [tensor()], "outputs", outputs={}),
    v2("output not an object", 400, [tensor()], "outputs[0]", outputs=["class"]),
    v2_bytes("length no number", HEAD + DATA, "abc", "Content-Length"),
    v2_bytes("length zero", HEAD + DATA, "0", "Content-Length"),
    v2_bytes("length negative", HEAD + DATA, "-5", "Content-Length"),
    v2_bytes("length past the end", HEAD + DATA, "9999", "Content-Length"),
    v2_bytes("length short", HEAD + DATA, str(len(HEAD) - 3), "not JSON"),
    v2_bytes("length long", HEAD + DATA, str(len(HEAD) + 3), "not JSON"),
    v2_bytes("too few bytes", HEAD + DATA[:40], str(len(HEAD)), "binary_data_size"),
    v2_bytes("too many bytes", HEAD + DATA + DATA, str(len(HEAD)), "48 bytes"),
    v2_bytes(
        "size that is not the shape's",
        HEAD.replace(b"48", b"40") + DATA[:40],
        str(len(HEAD)),
        "40 bytes",
    ),
    InvalidRequest(
        "model metadata",
        404,
        ("only model is skyclass-spectroscopic",),
        None,
        "/v2/models/other",
        "GET",
    ),
    InvalidRequest(
        "model readiness",
        404,
        ("only model is skyclass-spectroscopic",),
        None,
        "/v1/models/other",
        "GET",
    ),
    InvalidRequest("path in the name", 404, (), {}, "/v1/models/..%2F..%2Fetc%2Fpasswd:predict"),
    InvalidRequest("null byte in the name", 404, (), {}, "/v1/models/%00:predict"),
    InvalidRequest(
        *("another version", 404, ("only one version is served",), {"inputs": [tensor()]}),
        V2.replace("/infer", "/versions/9/infer"),
    ),
    *(
        InvalidRequest(
            *(f"{name} of another version", 404, ("only one version is served",), None),
            *(f"/v2/models/{MODEL}/versions/9{suffix}", "GET"),
        )
        for name, suffix in (("metadata", ""), ("readiness", "/ready"))
    ),
    InvalidRequest(
        "GET of a version", 405, (), None, f"/v2/models/{MODEL}/versions/9/infer", "GET"
    ),
    InvalidRequest("explain", 404, (), {}, V1.replace("predict", "explain")),
    InvalidRequest("unload", 404, (), {}, "/v2/repository/models/skyclass-spectroscopic/unload"),
    InvalidRequest("load", 404, (), {}, "/v2/repository/models/skyclass-spectroscopic/load"),
    InvalidRequest("repository index", 404, (), {}, "/v2/repository/index"),
    InvalidRequest("unknown address", 404, (), None, "/docs", "GET"),
]


@pytest.fixture(scope="module")
def server(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("release")
    publish(site, folder / "files", Mode.SPECTROSCOPIC, seed=0)
    LocalChampionStore(site.store).promote(
        site.registry.list_releases(Mode.SPECTROSCOPIC)[0], "for a test", "test"
    )
    limits = {"max_rows": MAX_ROWS, "max_body_bytes": MAX_BYTES}
    with serving(site, Mode.SPECTROSCOPIC, None, folder / "log", **limits) as server:
        yield server
        assert "Traceback" not in server.log
        assert len(server.log.splitlines()) == 1, server.log


@pytest.mark.parametrize("invalid", INVALID_REQUESTS, ids=lambda invalid: invalid.name)
def test_an_invalid_request_is_rejected(server: ServerProcess, invalid: InvalidRequest) -> None:
    response = server.request(invalid.method, invalid.path, invalid.body, invalid.headers)

    assert response.status == invalid.status, response.data
    assert response.headers["Content-Type"] == "application/json"
    answer = response.json()
    assert list(answer) == ["error"]
    text = answer["error"]
    assert isinstance(text, str)
    assert len(text) < 250
    assert "\n" not in text
    for word in invalid.words:
        assert word in text
    for detail in (*DETAILS, "passwd"):
        assert detail not in text
    assert len(server.predict([GOOD])["predictions"]) == 1
    assert server.process.poll() is None


@pytest.mark.parametrize(
    "invalid",
    [each for each in INVALID_REQUESTS if each.path == V2 and to_grpc(each.body)],
    ids=lambda invalid: invalid.name,
)
def test_grpc_rejects_with_the_message_of_v2(
    server: ServerProcess, invalid: InvalidRequest
) -> None:
    request = to_grpc(invalid.body)
    assert request is not None
    wanted = server.request("POST", V2, invalid.body).json()["error"]
    with connected(server.grpc) as stub:
        assert error_of(stub, MODEL, **request) == (grpc.StatusCode.INVALID_ARGUMENT, wanted)
        good = to_grpc({"inputs": [tensor()]})
        assert good is not None
        assert infer(stub, MODEL, **good).outputs[0].shape == [1]
    assert server.process.poll() is None


RAW = {"inputs": [{"name": "x", "shape": [1, 6], "datatype": "FP64"}]}
NAN = struct.pack("<6d", *GOOD[:5], float("nan"))


@pytest.mark.parametrize(
    ("model", "request_", "code", "words"),
    [
        ("other", RAW, grpc.StatusCode.NOT_FOUND, "only model is skyclass-spectroscopic"),
        (
            MODEL,
            {**RAW, "model_version": "9"},
            grpc.StatusCode.NOT_FOUND,
            "only one version is served",
        ),
        (
            MODEL,
            {**RAW, "raw_input_contents": [DATA, DATA]},
            grpc.StatusCode.INVALID_ARGUMENT,
            "raw_input_contents has 2 entries for 1 inputs",
        ),
        (
            MODEL,
            {**RAW, "raw_input_contents": [DATA[:40]]},
            grpc.StatusCode.INVALID_ARGUMENT,
            "its data has 40 bytes",
        ),
        (
            MODEL,
            {**RAW, "raw_input_contents": [NAN]},
            grpc.StatusCode.INVALID_ARGUMENT,
            "row 0: redshift is nan",
        ),
        (
            MODEL,
            {**RAW, "outputs": [{"name": "logits"}]},
            grpc.StatusCode.INVALID_ARGUMENT,
            "outputs[0]",
        ),
        (
            MODEL,
            {**RAW, "raw_input_contents": [b" " * (MAX_BYTES + 1)]},
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"{MAX_BYTES}",
        ),
    ],
)
def test_grpc_rejects_requests_that_only_grpc_can_express(
    server: ServerProcess, model: str, request_: dict[str, Any], code: grpc.StatusCode, words: str
) -> None:
    with connected(server.grpc) as stub:
        found, text = error_of(stub, model, **request_)
        assert found == code
        assert words in text
        assert infer(stub, MODEL, **RAW, raw_input_contents=[DATA]).outputs[0].shape == [1]


@pytest.mark.parametrize("method", ["RepositoryModelLoad", "RepositoryModelUnload"])
def test_models_cannot_be_loaded_or_unloaded(server: ServerProcess, method: str) -> None:
    with connected(server.grpc) as stub:
        request = getattr(pb, f"{method}Request")(model_name=MODEL)
        with pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"):
            getattr(stub, method)(request, timeout=5)
    assert server.predict([GOOD])


def test_a_405_names_the_allowed_method(server: ServerProcess) -> None:
    assert server.request("GET", V1).headers["Allow"] == "POST"


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8", None],
)
def test_json_content_types_are_accepted(server: ServerProcess, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    assert server.request("POST", V1, {"instances": [GOOD]}, headers).status == 200
    assert server.request("POST", V2, {"inputs": [tensor()]}, headers).status == 200


def test_a_415_names_the_accepted_encodings(server: ServerProcess) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "br"}
    response = server.request("POST", V1, VALID, headers)
    assert response.headers["Accept-Encoding"] == "gzip, deflate"


def test_a_compressed_body_may_have_the_largest_size(server: ServerProcess) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    body = gzip.compress(VALID.ljust(MAX_BYTES))
    assert server.request("POST", V1, body, headers).status == 200


def test_a_chunked_body_is_limited_too(server: ServerProcess) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 1000

    response = server._http.request(
        "POST", server.url + V1, body=endless(), headers={"Content-Type": "application/json"}
    )
    assert response.status == 413
    assert server.predict([GOOD])
