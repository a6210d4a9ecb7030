"""Compressed requests get the same prediction, and cannot exhaust the memory of the server."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from skyclass.survey.features import Mode
from tests.support.predictor import ServerProcess, Site, publish, serving

pytestmark = pytest.mark.slow

V1 = "/v1/models/skyclass-spectroscopic:predict"
V2 = "/v2/models/skyclass-spectroscopic/infer"
ROW = [21.2, 18.9, 17.7, 17.1, 16.8, 0.17]
MEGABYTE = 2**20
MAX_BYTES = 12 * MEGABYTE
MAX_GROWTH = 100 * MEGABYTE

COMPRESSIONS = pytest.mark.parametrize(
    ("encoding", "compress"),
    [("gzip", gzip.compress), ("GZip", gzip.compress), ("deflate", zlib.compress)],
)
Compress = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def server(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("release")
    release = publish(site, folder / "files", Mode.SPECTROSCOPIC, seed=0)
    address = f"s3://{site.settings.models_bucket}/{release.prefix}"
    log = folder / "log"
    with serving(site, Mode.SPECTROSCOPIC, address, log, max_body_bytes=MAX_BYTES) as server:
        yield server


def send(server: ServerProcess, path: str, body: bytes, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = server.request("POST", path, body, {"Content-Type": "application/json", **named})
    assert response.status == 200, response.data
    return response.json()


@COMPRESSIONS
@pytest.mark.parametrize("rows", [1, 500])
def test_v1_compressed(server: ServerProcess, encoding: str, compress: Compress, rows: int) -> None:
    body = json.dumps({"instances": [ROW] * rows}).encode()
    plain = send(server, V1, body)
    assert send(server, V1, compress(body), Content_Encoding=encoding) == plain
    assert send(server, V1, body, Content_Encoding="identity") == plain


@COMPRESSIONS
def test_v2_compressed_with_binary_data(
    server: ServerProcess, encoding: str, compress: Compress
) -> None:
    data = np.array([ROW], "<f4").tobytes()
    tensor = {"name": "x", "shape": [1, 6], "datatype": "FP32"}
    request = {"id": "mine", "inputs": [{**tensor, "parameters": {"binary_data_size": len(data)}}]}
    head = json.dumps(request).encode()
    # The length is that of the decompressed JSON, as tritonclient sends it.
    length = {"Inference_Header_Content_Length": str(len(head))}
    plain = send(server, V2, head + data, **length)
    assert send(server, V2, compress(head + data), **length, Content_Encoding=encoding) == plain


def test_a_decompression_bomb_is_rejected_in_bounded_memory(server: ServerProcess) -> None:
    compressor = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    block = compressor.compress(bytes(MEGABYTE)) + compressor.flush(zlib.Z_FULL_FLUSH)
    bomb = bytes.fromhex("1f8b08000000000000ff") + block * 10_000  # 10 GB
    assert len(bomb) < MAX_BYTES
    server.predict([ROW])
    before = server.read_peak_memory()
    response = server.request("POST", V1, bomb, {"Content-Encoding": "gzip"})
    assert response.status == 413
    assert server.read_peak_memory() - before < MAX_GROWTH
    server.predict([ROW])
