"""The servers that `benchmarks.endpoint` compares, and the requests that they take."""

import time
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson
import urllib3
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferRequest

from benchmarks.load import GrpcRequest, HttpRequest, Request
from benchmarks.models import publish_model
from benchmarks.peers import NAME
from benchmarks.servers import Server, running
from skyclass.local.ports import find_free_ports
from skyclass.local.s3_server import Access
from skyclass.registry.releases import JOBLIB_MODEL, Registry
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode, make_features, model_name

MODE = Mode.SPECTROSCOPIC
STOCK, NOOP, SKYCLASS, NO_LOG = "stock", "no-op", "skyclass", "no log"

Matrix = npt.NDArray[np.float64]
_POLL_SECONDS = 0.5
_LOG_SECONDS = 120


class Protocol(StrEnum):
    """Protocol of a request."""

    V1 = "V1"
    V2 = "V2"
    GRPC = "gRPC"


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Attributes:
        model: Name of its model.
        port: HTTP port.
        grpc_port: gRPC port.
        takes_features: Whether it takes features, as KServe's servers do, and not inputs.
    """

    model: str
    port: int
    grpc_port: int
    takes_features: bool

    def make_request(self, protocol: Protocol, inputs: Matrix) -> Request:
        """Return a request to classify rows."""
        rows = make_features(inputs, MODE).astype(np.float64) if self.takes_features else inputs
        url = f"http://127.0.0.1:{self.port}"
        if protocol is Protocol.V1:
            body = orjson.dumps({"instances": rows.tolist()})
            return HttpRequest(f"{url}/v1/models/{self.model}:predict", body)
        tensor = {"name": "rows", "shape": list(rows.shape), "datatype": "FP64"}
        if protocol is Protocol.V2:
            body = orjson.dumps({"inputs": [{**tensor, "data": rows.ravel().tolist()}]})
            return HttpRequest(f"{url}/v2/models/{self.model}/infer", body)
        message = ModelInferRequest(
            model_name=self.model, inputs=[tensor], raw_input_contents=[rows.tobytes()]
        )
        return GrpcRequest(self.grpc_port, message.SerializeToString())


@dataclass(frozen=True)
class Endpoint:
    """A running server."""

    address: Address
    server: Server

    def wait_for_log(self) -> None:
        """Wait until every prediction is written to the log; other servers have none."""
        if self.address.takes_features:
            return
        url = f"http://127.0.0.1:{self.address.port}/metrics"
        until = time.monotonic() + _LOG_SECONDS
        with urllib3.PoolManager() as http:
            while b"skyclass_log_queue_rows 0.0" not in http.request("GET", url).data:
                if time.monotonic() > until:
                    raise SystemExit(f"the log was not written after {_LOG_SECONDS} s: {url}")
                time.sleep(_POLL_SECONDS)


def publish(candidate: str, access: Access, folder: Path) -> Matrix:
    """Train and publish a model; return rows to classify."""
    store = ObjectStore(Settings(**access.environment(), home=folder / "home"))
    store.make_buckets()
    release, inputs = publish_model(store, MODE, candidate, folder / "files")
    Registry(store).download(release, folder / "release")
    return inputs


def prepare_server(
    name: str, access: Access, folder: Path, inputs: Matrix
) -> tuple[Address, AbstractContextManager[Server]]:
    """Prepare a server with the model that `publish` has left in the folder; enter it to start.

    Args:
        name: Which server.
        access: Object store of the prediction log.
        folder: Folder of the model.
        inputs: Rows for the first request.
    """
    is_peer = name in (STOCK, NOOP)
    port, grpc_port = find_free_ports(2)
    address = Address(NAME if is_peer else model_name(MODE), port, grpc_port, is_peer)
    if is_peer:
        file = str(folder / "files" / JOBLIB_MODEL)
        command = ["-m", "benchmarks.peers", name, str(port), str(grpc_port), file]
    else:
        release = str(folder / "release")
        command = ["-m", "skyclass", "serve", "--mode", MODE, "--release", release]
        command += ["--port", str(port), "--grpc-port", str(grpc_port)]
    environment = {
        **access.environment(),
        "OMP_NUM_THREADS": "1",
        "SKYCLASS_HOME": str(folder / "home"),
        "SKYCLASS_SERVING_LOG": str(name != NO_LOG),
    }
    probe = address.make_request(Protocol.V1, inputs[:1])
    assert isinstance(probe, HttpRequest)  # noqa: S101
    return address, running(command, probe.url, probe.body, environment)


def start_servers(
    stack: ExitStack, access: Access, folder: Path, inputs: Matrix
) -> dict[str, Endpoint]:
    """Start all servers, as `prepare_server` describes; the stack stops them."""
    found = {}
    for name in (STOCK, NOOP, SKYCLASS, NO_LOG):
        address, server = prepare_server(name, access, folder, inputs)
        found[name] = Endpoint(address, stack.enter_context(server))
    return found
