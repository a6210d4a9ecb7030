"""Start-up of the predictor beside KServe's sklearn server: `python -m benchmarks.startup`.

Both serve the same model, and are started alternately: until the first response, then memory.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.endpoint_servers import SKYCLASS, STOCK, Matrix, prepare_server, publish
from benchmarks.figures import Figure, print_figure
from skyclass.local.s3_server import Access, EmbeddedS3

TOPIC = "Start-up"
PEER = "KServe's sklearn server"
CANDIDATE = "random_forest"
"""The largest of the usual models: 100 trees."""


@dataclass(frozen=True)
class Start:
    """One start of a server: time and CPU until its first response, and resident memory."""

    seconds: float
    cpu_seconds: float
    megabytes: float


def measure_figures(rounds: int = 5) -> Iterator[Figure]:
    """Start both servers so many times."""
    with tempfile.TemporaryDirectory() as name, EmbeddedS3(Path(name) / "s3") as access:
        inputs = publish(CANDIDATE, access, Path(name))
        pairs = [
            (
                _start(STOCK, access, Path(name), inputs),
                _start(SKYCLASS, access, Path(name), inputs),
            )
            for _ in range(rounds)
        ]
    ready = median(own.seconds for _, own in pairs)
    memory = median(own.megabytes for _, own in pairs)
    yield Figure(TOPIC, "ready", ready, "s", target=3)
    yield Figure(
        TOPIC, "ready, same model as the peer", ready, "s", PEER,
        median(peer.seconds / own.seconds for peer, own in pairs),
    )  # fmt: skip
    yield Figure(
        TOPIC, "CPU until ready", median(own.cpu_seconds for _, own in pairs), "s", PEER,
        median(peer.cpu_seconds / own.cpu_seconds for peer, own in pairs),
    )  # fmt: skip
    yield Figure(TOPIC, "memory", memory, "MB", target=300)
    yield Figure(
        TOPIC, "memory, same model as the peer", memory, "MB", PEER,
        median(peer.megabytes / own.megabytes for peer, own in pairs),
    )  # fmt: skip


def _start(name: str, access: Access, folder: Path, inputs: Matrix) -> Start:
    with prepare_server(name, access, folder, inputs)[1] as server:
        return Start(server.ready_seconds, server.cpu_seconds(), server.memory_megabytes())


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="starts of each server")
    for figure in measure_figures(parser.parse_args().rounds):
        print_figure(figure)


if __name__ == "__main__":
    main()
