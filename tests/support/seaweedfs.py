"""SeaweedFS as the chart runs it, in a process of this machine."""

import os
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3

from skyclass.local.ports import find_free_ports
from skyclass.polling import poll
from skyclass.settings import Settings
from skyclass.sockets import LOOPBACK

SERVICES = ("master", "volume", "filer", "s3")


class ChartStore:
    """The container of the chart's StatefulSet, with free ports and a folder as its volume."""

    def __init__(self, objects: list[dict[str, Any]], folder: Path) -> None:
        """Initialize the server; nothing is started yet.

        Args:
            objects: The rendered chart.
            folder: Where to keep the data and the identities.
        """
        by_name = {(each["kind"], each["metadata"]["name"]): each for each in objects}
        stateful_set = by_name["StatefulSet", "skyclass-seaweedfs"]
        (container,) = stateful_set["spec"]["template"]["spec"]["containers"]
        identities = folder / "identities.json"
        identities.write_text(by_name["ConfigMap", "skyclass-seaweedfs"]["data"][identities.name])
        self._variables = {each["name"]: _resolve(each) for each in container["env"]}
        ports = find_free_ports(2 * len(SERVICES))
        self.ports = dict(zip(SERVICES, ports[::2], strict=True))
        self.grpc_ports = dict(zip(SERVICES, ports[1::2], strict=True))
        self._folder = folder
        places = {"/data": str(folder), "/identities": str(folder)}
        weed, *arguments = container["command"]
        assert weed == "/usr/bin/weed"
        for place, local in places.items():
            arguments = [each.replace(f"={place}", f"={local}") for each in arguments]
        for service in SERVICES:
            arguments += [
                f"-{service}.port={self.ports[service]}",
                f"-{service}.port.grpc={self.grpc_ports[service]}",
            ]
        self._command = [
            str(Path(sysconfig.get_path("scripts")) / "weed"), *arguments, f"-s3.ip.bind={LOOPBACK}"
        ]  # fmt: skip
        settings = by_name["ConfigMap", "skyclass-settings"]["data"]
        self.settings = Settings(
            AWS_ENDPOINT_URL=f"http://{LOOPBACK}:{self.ports['s3']}",
            AWS_ACCESS_KEY_ID=self._variables["ROOT_ACCESS_KEY_ID"],
            AWS_SECRET_ACCESS_KEY=self._variables["ROOT_SECRET_ACCESS_KEY"],
            **{
                f"{name}_bucket": settings[f"SKYCLASS_{name.upper()}_BUCKET"]
                for name in ("data", "models", "logs", "reports")
            },
        )

    def read_keys(self, role: str) -> tuple[str, str]:
        """Return the access key and the secret key of a role."""
        name = role.upper()
        return self._variables[f"{name}_ACCESS_KEY_ID"], self._variables[
            f"{name}_SECRET_ACCESS_KEY"
        ]

    def set_keys(self, role: str, key: str, secret: str) -> None:
        """Replace the keys of a role, as a changed Secret does; they apply from the next start."""
        name = role.upper()
        self._variables |= {f"{name}_ACCESS_KEY_ID": key, f"{name}_SECRET_ACCESS_KEY": secret}

    @contextmanager
    def run(self) -> Iterator[int]:
        """Run the server, and yield its process id once the readiness probe succeeds."""
        with (self._folder / "weed.log").open("ab") as log:
            process = subprocess.Popen(
                self._command, env={**os.environ, **self._variables}, stdout=log, stderr=log
            )
        pool = urllib3.PoolManager(retries=False, timeout=2)

        def is_ready() -> bool:
            assert process.poll() is None, (self._folder / "weed.log").read_text()
            try:
                return pool.request("GET", f"{self.settings.endpoint_url}/healthz").status == 200
            except urllib3.exceptions.HTTPError:
                return False

        try:
            assert poll(is_ready, 60), (self._folder / "weed.log").read_text()
            yield process.pid
        finally:
            process.kill()
            process.wait()
            for port in (*self.ports.values(), *self.grpc_ports.values()):
                for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108
                    socket_file.unlink()


def _resolve(variable: dict[str, Any]) -> str:
    """Return the value of an environment variable; keys of Secrets are made up."""
    if "value" in variable:
        return str(variable["value"])
    reference = variable["valueFrom"]["secretKeyRef"]
    return f"{reference['name']}-{reference['key']}".lower()
