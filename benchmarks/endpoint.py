"""Compare the predictor with KServe's servers: `python -m benchmarks.endpoint`.

Four servers of the same random forest run at once and take load in turn, a second at a time, so
that other load on the machine affects all of them alike:

    stock    KServe's sklearn server, with the same joblib file
    no-op    a KServe model that does nothing
    skyclass the predictor
    no log   the predictor without its prediction log

Figures are medians over the rounds; ratios compare two servers within a round.
"""

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import numpy.typing as npt
import orjson
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.load import Request, generate_load
from benchmarks.models import publish_model
from benchmarks.servers import Server, running
from skyclass.local.ports import find_free_ports
from skyclass.local.s3_server import Access, EmbeddedS3
from skyclass.registry.releases import JOBLIB_MODEL, Registry
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode, make_features, model_name

MODE = Mode.SPECTROSCOPIC
TRAINING_ROWS = 20_000
STOCK, NOOP, SKYCLASS, NO_LOG = "stock", "no-op", "skyclass", "no log"
CASES = [(rows, clients) for rows in (1, 100, 1000) for clients in (1, 8)]

Matrix = npt.NDArray[np.float64]
console = Console(width=132)


@dataclass(frozen=True)
class Round:
    """One round of one server: requests per second, latencies and CPU per request in ms."""

    rate: float
    p50: float
    p99: float
    cpu: float


Rounds = dict[str, list[Round]]
"""The rounds of each server, in order."""


def main(
    rounds: Annotated[int, typer.Option(help="Rounds of each server in a case.")] = 7,
    seconds: Annotated[float, typer.Option(help="Duration of a round in seconds.")] = 1.0,
) -> None:
    """Measure and print the tables."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        console.print(f"training a forest of 100 trees on {TRAINING_ROWS:,} simulated rows")
        access = stack.enter_context(EmbeddedS3(folder / "s3"))
        inputs = _publish(access, folder)
        servers = {
            name: stack.enter_context(server)
            for name, server in _servers(access, folder, _body(SKYCLASS, inputs[:1]))
        }
        console.print(_start_table(servers))
        schedule = [case for case in CASES for _ in range(rounds)]
        found: dict[tuple[int, int], Rounds] = {case: {} for case in CASES}
        for number, case in enumerate(
            track(schedule, "measuring", console=console, transient=True)
        ):
            names = list(servers)[number % 4 :] + list(servers)[: number % 4]
            for name in names:
                body = _body(name, inputs[: case[0]])
                measured = _measure(servers[name], body, case[1], seconds)
                found[case].setdefault(name, []).append(measured)
        console.print(_speed_table(found))


def _publish(access: Access, folder: Path) -> Matrix:
    """Train and publish a forest; return rows to classify."""
    store = ObjectStore(Settings(**access.environment(), home=folder / "home"))
    store.make_buckets()
    release, inputs = publish_model(store, MODE, "random_forest", folder / "files")
    Registry(store).download(release, folder / "release")
    return inputs


def _servers(
    access: Access, folder: Path, probe: bytes
) -> Iterator[tuple[str, AbstractContextManager[Server]]]:
    """Return a context manager for each server."""
    for name, port in zip((STOCK, NOOP, SKYCLASS, NO_LOG), find_free_ports(4), strict=True):
        environment = {
            **access.environment(),
            "OMP_NUM_THREADS": "1",
            "SKYCLASS_HOME": str(folder / "home"),
            "SKYCLASS_SERVING_LOG": str(name != NO_LOG),
        }
        if name in (STOCK, NOOP):
            model, file = "peer", str(folder / "files" / JOBLIB_MODEL)
            command = ["-m", "benchmarks.peers", name, str(port), file]
        else:
            model, release = model_name(MODE), str(folder / "release")
            command = ["-m", "skyclass", "serve", "--mode", MODE, "--release", release]
            command += ["--port", str(port)]
        url = f"http://127.0.0.1:{port}/v1/models/{model}:predict"
        yield name, running(command, url, probe, environment)


def _body(name: str, inputs: Matrix) -> bytes:
    """Return the request body for a server; KServe's servers take features, not inputs."""
    rows = inputs if name in (SKYCLASS, NO_LOG) else make_features(inputs, MODE)
    return orjson.dumps({"instances": rows.tolist()})


def _measure(server: Server, body: bytes, clients: int, seconds: float) -> Round:
    cpu = server.cpu_seconds()
    latencies = generate_load(Request(server.url, body), clients, seconds) * 1000
    cpu = server.cpu_seconds() - cpu
    return Round(
        rate=len(latencies) / (latencies.sum() / 1000 / clients),
        p50=float(np.median(latencies)),
        p99=float(np.percentile(latencies, 99)),
        cpu=cpu * 1000 / len(latencies),
    )


def _start_table(servers: dict[str, Server]) -> Table:
    table = Table("server", box=None, title="Start", title_justify="left")
    for heading in ("seconds to the first response", "memory (MB)"):
        table.add_column(heading, justify="right")
    for name, server in servers.items():
        memory = f"{server.memory_megabytes():.0f}"
        table.add_row(name, f"{server.ready_seconds:.1f}", memory)
    return table


def _speed_table(found: dict[tuple[int, int], Rounds]) -> Table:
    table = Table(box=None, title="V1 requests", title_justify="left")
    for heading in ("rows", "clients", "server", "per second", "p50 ms", "p99 ms", "CPU ms"):
        table.add_column(heading, justify="right")
    for heading in ("rate / stock", "rate / no-op", "rate / no log", "CPU / stock", "CPU / no log"):
        table.add_column(heading, justify="right")
    for (rows, clients), rounds in found.items():
        for name in (STOCK, NOOP, SKYCLASS, NO_LOG):
            own = rounds[name]
            table.add_row(
                f"{rows:,}",
                str(clients),
                name,
                f"{median(each.rate for each in own):,.0f}",
                *(
                    f"{median(getattr(each, field) for each in own):.2f}"
                    for field in ("p50", "p99", "cpu")
                ),
                *(_ratio(own, rounds[other], "rate") for other in (STOCK, NOOP, NO_LOG)),
                *(_ratio(own, rounds[other], "cpu") for other in (STOCK, NO_LOG)),
            )
        table.add_section()
    return table


def _ratio(own: list[Round], others: list[Round], field: str) -> str:
    pairs = zip(own, others, strict=True)
    return f"{median(getattr(a, field) / getattr(b, field) for a, b in pairs):.2f}"


if __name__ == "__main__":
    typer.run(main)
