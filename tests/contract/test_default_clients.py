"""The HTTP clients that other languages have by default can predict."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from skyclass.survey.features import Mode
from tests.support.predictor import ROOT, ServerProcess, Site, publish, serving

pytestmark = pytest.mark.slow

CLIENTS = ROOT / "tests/clients"
BUILDS = ROOT / ".tools"
COMMANDS = {
    "curl": ["sh", str(CLIENTS / "curl/client.sh")],
    "java": ["java", str(CLIENTS / "java/Client.java")],
    "go": ["go", "run", str(CLIENTS / "go/main.go")],
    "node": ["node", str(CLIENTS / "node/client.mjs")],
    "cargo": [
        *("cargo", "run", "--quiet", "--locked"),
        *("--manifest-path", str(CLIENTS / "rust/Cargo.toml"), "--"),
    ],
}
SECONDS = 240  # the first build of the Rust client

MODEL = "skyclass-spectroscopic"
V1 = f"/v1/models/{MODEL}:predict"
ROW = [21.2, 18.9, 17.7, 17.1, 16.8, 0.17]
BODY = json.dumps({"instances": [ROW]}).encode()
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.fixture(scope="module")
def server(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("release")
    release = publish(site, folder / "files", Mode.SPECTROSCOPIC, seed=0)
    address = f"s3://{site.settings.models_bucket}/{release.prefix}"
    with serving(site, Mode.SPECTROSCOPIC, address, folder / "log") as server:
        yield server
        assert len(server.log.splitlines()) == 1, server.log


@pytest.mark.parametrize("program", COMMANDS)
def test_a_default_client_predicts(server: ServerProcess, program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run(
        [*COMMANDS[program], server.url],
        env={**os.environ, "CARGO_TARGET_DIR": str(BUILDS / "rust-client")},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    v1, v2 = map(json.loads, done.stdout.splitlines())
    expected = server.predict([ROW])
    assert v1 == expected
    assert v2["outputs"][0]["data"] == [expected["predictions"][0]["class"]]


class Connection:
    """A raw connection to a server."""

    def __init__(self, server: ServerProcess) -> None:
        parts = urlsplit(server.url)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=10)
        self._responses = self._socket.makefile("rb")

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self._responses.close()
        self._socket.close()

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self._socket.sendall(part)

    def read(self) -> tuple[int, Any]:
        """Read a response: its status and its JSON."""
        status = int(self._responses.readline().split()[1])
        length = 0
        while (line := self._responses.readline()) != b"\r\n":
            name, _, value = line.partition(b": ")
            length = int(value) if name == b"content-length" else length
        return status, json.loads(self._responses.read(length))

    def is_closed(self) -> bool:
        return self._responses.read(1) == b""


def head(*fields: bytes, version: bytes = b"1.1", path: str = V1) -> bytes:
    return b"POST %s HTTP/%s\r\nHost: x\r\n%s\r\n" % (path.encode(), version, b"".join(fields))


LENGTH = b"Content-Length: %d\r\n" % len(BODY)


def split(data: bytes) -> bytes:
    """Return a body in two chunks."""
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (data[:9], data[9:], b""))


@pytest.mark.parametrize(
    "parts",
    [
        (head(OFFER, LENGTH) + BODY,),
        (head(OFFER, LENGTH), BODY),
        (head(LENGTH, OFFER)[:50], head(LENGTH, OFFER)[50:], BODY[:7], BODY[7:]),
        (head(OFFER, CHUNKED) + split(BODY),),
        (head(LENGTH, b"Connection: upgrade\r\nUpgrade: websocket\r\n") + BODY,),
    ],
    ids=["at once", "head first", "in pieces", "chunked", "another protocol"],
)
def test_an_offer_to_upgrade_is_ignored(server: ServerProcess, parts: tuple[bytes, ...]) -> None:
    expected = server.predict([ROW])
    with Connection(server) as connection:
        for _ in range(2):  # the connection stays open
            connection.send(*parts)
            assert connection.read() == (200, expected)


def test_pipelined_requests_with_an_offer_are_answered_in_order(server: ServerProcess) -> None:
    offered, plain = head(OFFER, LENGTH) + BODY, head(LENGTH) + BODY
    unknown = head(OFFER, LENGTH, path="/unknown") + BODY
    with Connection(server) as connection:
        connection.send(b"".join([offered, plain, unknown, offered]) * 3)
        assert [connection.read()[0] for _ in range(12)] == [200, 200, 404, 200] * 3


@pytest.mark.parametrize(
    ("fields", "version"),
    [((b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n",), b"1.1"), ((OFFER,), b"1.0")],
    ids=["close", "HTTP/1.0"],
)
def test_a_connection_that_the_client_ends_is_closed(
    server: ServerProcess, fields: tuple[bytes, ...], version: bytes
) -> None:
    with Connection(server) as connection:
        connection.send(head(*fields, LENGTH, version=version) + BODY)
        assert connection.read()[0] == 200
        assert connection.is_closed()


def test_an_offer_does_not_weaken_the_checks_of_the_request(server: ServerProcess) -> None:
    for request in (
        head(OFFER, LENGTH, CHUNKED) + BODY,
        b"CONNECT localhost:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        with Connection(server) as connection:
            connection.send(request)
            assert connection._responses.readline() == b"HTTP/1.1 400 Bad Request\r\n"
