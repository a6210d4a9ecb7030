"""Predictors for the tests: buckets, tiny models and server processes."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import urllib3
from sklearn.ensemble import RandomForestClassifier

from skyclass.local.s3_server import Access
from skyclass.polling import poll
from skyclass.registry.libraries import get_library_versions
from skyclass.registry.releases import JOBLIB_MODEL, ONNX_MODEL, REFERENCE, Registry, Release
from skyclass.settings import Settings
from skyclass.sources.simulated import draw
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode, make_features, model_name
from skyclass.survey.observation import MEASUREMENTS, NOT_MEASURED, Era
from skyclass.training.export import export
from tests.support.monitoring import write_reference
from tests.support.releases import draft

ROOT = Path(__file__).resolve().parents[2]
READY = re.compile(r"is ready at (http://\S+) and grpc://(\S+)")
START_SECONDS = 90
STOP_SECONDS = 30


@dataclass(frozen=True)
class Site:
    """Buckets and a home folder for one test module."""

    settings: Settings
    environment: dict[str, str]
    store: ObjectStore
    registry: Registry

    @classmethod
    def make(cls, access: Access, home: Path) -> "Site":
        name = f"t-{uuid4().hex[:12]}"
        buckets = {kind: f"{name}-{kind}" for kind in ("data", "models", "logs", "reports")}
        settings = Settings(
            **{f"{kind}_bucket": bucket for kind, bucket in buckets.items()},
            **access.environment(),
            home=home,
        )
        store = ObjectStore(settings)
        store.make_buckets()
        environment = {
            **os.environ,
            **access.environment(),
            **{f"SKYCLASS_{kind.upper()}_BUCKET": bucket for kind, bucket in buckets.items()},
            "SKYCLASS_HOME": str(home),
        }
        return cls(settings, environment, store, Registry(store))


@dataclass
class ServerProcess:
    """A predictor process."""

    process: subprocess.Popen[bytes]
    log_file: Path
    url: str = ""
    grpc: str = ""

    def __post_init__(self) -> None:
        self._http = urllib3.PoolManager(retries=False, timeout=30)

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def wait_ready(self) -> None:
        def ready() -> bool:
            found = READY.search(self.log)
            self.url, self.grpc = found.groups() if found else ("", "")
            return bool(found) or self.process.poll() is not None

        eventually(ready, START_SECONDS)
        assert self.url, self.log

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        """Send a request; a body that is not bytes is sent as JSON."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        return self._http.request(
            method,
            self.url + path,
            body=body,
            headers={"Content-Type": "application/json"} if headers is None else headers,
        )

    def predict(
        self, instances: Any, mode: Mode = Mode.SPECTROSCOPIC, request_id: str | None = None
    ) -> dict[str, Any]:
        """Send a V1 request that must succeed."""
        path = f"/v1/models/{model_name(mode)}:predict"
        headers = {"X-Request-Id": request_id} if request_id else None
        response = self.request("POST", path, {"instances": instances}, headers)
        assert response.status == 200, response.data
        return dict(response.json())

    def metric(self, name: str) -> float:
        """Return the value of the first metric whose line starts with a name."""
        lines = self.request("GET", "/metrics").data.decode().splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(name))

    def read_peak_memory(self) -> int:
        """Return the largest resident size of the server so far, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    def stop(self) -> int:
        """Send SIGTERM, as Kubernetes does, and return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


def start(
    site: Site,
    mode: Mode,
    release: str | Path | None,
    log_file: Path,
    port: int = 0,
    **settings: Any,
) -> ServerProcess:
    """Start a predictor process with `ServingSettings`."""
    command = [sys.executable, "-m", "tests.support.run_server", mode, str(release or "")]
    own = {f"SKYCLASS_SERVING_{name.upper()}": str(value) for name, value in settings.items()}
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [*command, str(port)],
            env={**site.environment, **own},
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    return ServerProcess(process, log_file)


@contextmanager
def serving(
    site: Site, mode: Mode, release: str | Path | None, log_file: Path, **settings: Any
) -> Iterator[ServerProcess]:
    """Run a predictor that is ready, and kill it after the block."""
    server = start(site, mode, release, log_file, **settings)
    try:
        server.wait_ready()
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def eventually(condition: Callable[[], Any], seconds: float) -> Any:
    """Poll a condition, and return its first true result."""
    result = poll(condition, seconds, 0.05)
    assert result, f"the condition does not hold after {seconds} s"
    return result


def simulated(size: int, seed: int = 0) -> pd.DataFrame:
    """Return simulated observations without missing measurements."""
    rows = draw(Era.LEGACY, 0, size + 10, seed).to_pandas()
    return rows[(rows[list(MEASUREMENTS)] != NOT_MEASURED).all(axis=1)].head(size)


def publish(
    site: Site,
    folder: Path,
    mode: Mode,
    seed: int,
    onnx: bool = True,
    **changes: Any,
) -> Release:
    """Train a tiny model and publish it, with its training rows as the reference.

    Args:
        site: Object store to publish to.
        folder: Folder for the files.
        mode: Mode of the model.
        seed: Random seed; another seed trains another model.
        onnx: Whether the ONNX model may be served.
        changes: Changes to the manifest.
    """
    rows = simulated(1500, seed)
    features = make_features(rows[list(INPUTS[mode])], mode)
    model = RandomForestClassifier(10, max_depth=6, random_state=seed)
    parity = export(model.fit(features, rows["class"].to_numpy()), features, folder)
    assert parity.passed, parity.reason
    manifest = draft(
        mode,
        **{
            "libraries": get_library_versions(),
            "parity": parity.model_copy(update={"passed": onnx}),
            **changes,
        },
    )
    write_reference(folder, rows)
    names = (JOBLIB_MODEL, ONNX_MODEL, REFERENCE)
    return site.registry.publish(manifest, {name: folder / name for name in names})
