"""Requests at a constant rate, from a process of its own.

The latency of a request counts from the time at which it was due: one that waits because earlier
ones are slow counts as slow, too.
"""

import http.client
import json
import multiprocessing
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TextIO

import grpc
import pandas as pd
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferRequest

from skyclass.survey.features import INPUTS, Mode, model_name
from skyclass.survey.observation import KEY

MODE = Mode.SPECTROSCOPIC
COLUMNS = ("id", "target", "due", "latency", "rows", "protocol", "error")
"""Columns of the file of answers; `due` is a Unix time, `latency` is in seconds."""

_SIZES = (1, 1, 1, 1, 10, 1, 1, 1, 1, 50)
"""Rows of consecutive requests. Their number and that of the protocols have no common divisor."""
_CONNECTIONS = 4
"""Of each protocol to each target."""
_TIMEOUT_SECONDS = 10
_PATHS = {
    "V1": f"/v1/models/{model_name(MODE)}:predict",
    "V2": f"/v2/models/{model_name(MODE)}/infer",
}
_INFER = "/inference.GRPCInferenceService/ModelInfer"
_PROCESSES = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Target:
    """A predictor.

    Attributes:
        name: What the file of answers calls it.
        port: HTTP port on loopback.
        grpc_port: gRPC port on loopback.
    """

    name: str
    port: int
    grpc_port: int


@dataclass(frozen=True)
class _Request:
    protocol: str
    rows: int
    body: bytes


@contextmanager
def generate_load(
    targets: Sequence[Target], observations: pd.DataFrame, rate: float, file: Path
) -> Iterator[None]:
    """Send requests to each target during the block.

    Args:
        targets: The predictors.
        observations: Rows to classify, with keys.
        rate: Requests per second to each target.
        file: CSV file to write, with `COLUMNS` and one line per request.
    """
    stop = _PROCESSES.Event()
    process = _PROCESSES.Process(
        target=_run, args=(targets, _prepare(observations), rate, file, stop), daemon=True
    )
    process.start()
    try:
        yield
    finally:
        stop.set()
        process.join()


def read_answers(file: Path) -> pd.DataFrame:
    """Read the answers so far; `error` is empty for a request that was answered."""
    return pd.read_csv(file, names=COLUMNS, keep_default_na=False)


def _prepare(observations: pd.DataFrame) -> list[_Request]:
    """Return requests of all sizes and protocols; only those of V1 have the keys of their rows."""
    requests: list[_Request] = []
    names, first = [*INPUTS[MODE]], 0
    for number in range(3 * len(_SIZES)):
        size, protocol = _SIZES[number % len(_SIZES)], ("V1", "V2", "gRPC")[number % 3]
        rows = observations.iloc[first : first + size]
        first += size
        values = rows[names].to_numpy(float)
        tensor = {"name": "rows", "shape": list(values.shape), "datatype": "FP64"}
        if protocol == "V1":
            body = json.dumps({"instances": rows[[*KEY, *names]].to_dict("records")}).encode()
        elif protocol == "V2":
            body = json.dumps({"inputs": [{**tensor, "data": values.ravel().tolist()}]}).encode()
        else:
            message = ModelInferRequest(
                model_name=model_name(MODE), inputs=[tensor], raw_input_contents=[values.tobytes()]
            )
            body = message.SerializeToString()
        requests.append(_Request(protocol, size, body))
    return requests


def _run(
    targets: Sequence[Target], requests: Sequence[_Request], rate: float, file: Path, stop: Event
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    with file.open("w", buffering=1) as answers:
        threads = [
            threading.Thread(target=sender.run)
            for target in targets
            for sender in _make_senders(target, requests, rate, answers, stop)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _make_senders(
    target: Target, requests: Sequence[_Request], rate: float, answers: TextIO, stop: Event
) -> list["_Sender"]:
    """Return senders that share the requests to a target."""
    numbers, start, clock = count(), time.perf_counter(), time.time()

    def take() -> tuple[int, float, float]:
        number = next(numbers)
        return number, start + number / rate, clock + number / rate

    return [_Sender(target, requests, take, answers, stop) for _ in range(_CONNECTIONS)]


class _Sender:
    """One connection of each protocol. The next due request is taken by a sender that is free."""

    def __init__(self, target, requests, take, answers, stop) -> None:
        self._target, self._requests, self._take = target, requests, take
        self._answers, self._stop = answers, stop
        self._http = http.client.HTTPConnection("127.0.0.1", target.port, timeout=_TIMEOUT_SECONDS)
        options = [("grpc.max_reconnect_backoff_ms", 1000)]
        channel = grpc.insecure_channel(f"127.0.0.1:{target.grpc_port}", options)
        self._infer = channel.unary_unary(_INFER)

    def run(self) -> None:
        while not self._stop.is_set():
            number, due, due_time = self._take()
            time.sleep(max(due - time.perf_counter(), 0))
            request = self._requests[number % len(self._requests)]
            name = f"{self._target.name}-{number}"
            error = self._send(request, name)
            latency = time.perf_counter() - due
            self._answers.write(
                f"{name},{self._target.name},{due_time:.3f},{latency:.6f},"
                f"{request.rows},{request.protocol},{error}\n"
            )

    def _send(self, request: _Request, name: str) -> str:
        """Send a request, and return what went wrong; empty if it was answered."""
        try:
            if request.protocol == "gRPC":
                metadata = (("x-request-id", name),)
                self._infer(
                    request.body,
                    timeout=_TIMEOUT_SECONDS,
                    metadata=metadata,
                    wait_for_ready=True,  # until the next attempt to connect
                )
                return ""
            headers = {"Content-Type": "application/json", "X-Request-Id": name}
            self._http.request("POST", _PATHS[request.protocol], request.body, headers)
            response = self._http.getresponse()
            response.read()
            return "" if response.status == 200 else f"HTTP {response.status}"
        except grpc.RpcError as error:
            return f"gRPC {error.code().name}"
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            return type(error).__name__
