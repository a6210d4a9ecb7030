"""Compare the predictor with KServe's servers: `python -m benchmarks.endpoint`.

Servers of the same model run at once and take load in turn, a second at a time, so that other load
on the machine affects all of them alike:

    stock    KServe's sklearn server, with the same joblib file
    no-op    a KServe model that does nothing, for V1
    skyclass the predictor
    no log   the predictor without its prediction log

Rates and latencies are medians over the rounds, their ratios compare two servers within a round.
CPU is that of all rounds, and of what the servers do after them, until the log is written.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.endpoint_servers import (
    NO_LOG,
    NOOP,
    SKYCLASS,
    STOCK,
    Endpoint,
    Matrix,
    Protocol,
    publish,
    start_servers,
)
from benchmarks.figures import Figure, print_figure
from benchmarks.load import generate_load
from skyclass.local.s3_server import EmbeddedS3

TOPIC = "Serving"
PEER = "KServe's sklearn server"
ROUNDS, SECONDS = 7, 1.0


@dataclass(frozen=True)
class Case:
    """A kind of request.

    Attributes:
        rows: Rows of a request.
        clients: Concurrent clients, each with one request at a time.
        protocol: Protocol of the requests.
        target: The least rate that we want, as a multiple of the stock server's.
    """

    rows: int
    clients: int
    protocol: Protocol = Protocol.V1
    target: float | None = None

    def __str__(self) -> str:
        rows = f"{self.rows:,} row{'s' if self.rows > 1 else ''}"
        protocol = "" if self.protocol is Protocol.V1 else f" over {self.protocol}"
        return f"{rows}{protocol}, {'one client' if self.clients == 1 else 'eight clients'}"


CASES = {
    "random_forest": [
        Case(1, 1),
        Case(1, 8),
        Case(100, 1),
        Case(100, 8),
        Case(1_000, 1, target=2),
        Case(1_000, 8, target=2),
        Case(1_000, 1, Protocol.V2),
        Case(1_000, 1, Protocol.GRPC),
    ],
    "hist_gradient_boosting": [Case(1_000, 1, target=4), Case(1_000, 8, target=4)],
}
"""Requests to measure for each candidate model: a forest of 100 trees, and boosting."""
NAMES = {"random_forest": "", "hist_gradient_boosting": ", boosting"}


@dataclass
class Rounds:
    """What was measured of a server: one value a round, and the CPU of all of them.

    Attributes:
        rates: Requests per second.
        p50: Median latencies (ms).
        p99: 99th percentiles of the latencies (ms).
        requests: Requests of all rounds.
        cpu: CPU of the server (ms) from the first round to the end of the case.
    """

    rates: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    requests: int = 0
    cpu: float = 0

    @property
    def cpu_of_request(self) -> float:
        """CPU of a request (ms)."""
        return self.cpu / self.requests

    def compare_rate(self, peer: "Rounds") -> float:
        """Return the median ratio of the rates within a round."""
        return median(own / other for own, other in zip(self.rates, peer.rates, strict=True))


def measure_figures(rounds: int = ROUNDS, seconds: float = SECONDS) -> Iterator[Figure]:
    """Measure every case of every model."""
    for candidate, cases in CASES.items():
        with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
            access = stack.enter_context(EmbeddedS3(Path(name) / "s3"))
            inputs = publish(candidate, access, Path(name))
            servers = start_servers(stack, access, Path(name), inputs)
            for case in cases:
                found = _measure(case, servers, inputs, rounds, seconds)
                _print_rounds(f"{candidate}, {case}", found)
                yield from _make_figures(f"{case}{NAMES[candidate]}", case, found)


def _measure(
    case: Case, servers: dict[str, Endpoint], inputs: Matrix, rounds: int, seconds: float
) -> dict[str, Rounds]:
    """Measure a case with every server that speaks its protocol."""
    names = [name for name in servers if name != NOOP or case.protocol is Protocol.V1]
    requests = {
        name: servers[name].address.make_request(case.protocol, inputs[: case.rows])
        for name in names
    }
    found = {name: Rounds(cpu=-servers[name].server.cpu_seconds() * 1000) for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            latencies = generate_load(requests[name], case.clients, seconds)
            own = found[name]
            own.rates.append(len(latencies) / (latencies.sum() / case.clients))
            own.p50.append(float(np.median(latencies)) * 1000)
            own.p99.append(float(np.percentile(latencies, 99)) * 1000)
            own.requests += len(latencies)
    for name in names:
        servers[name].wait_for_log()
        found[name].cpu += servers[name].server.cpu_seconds() * 1000
    return found


def _make_figures(name: str, case: Case, found: dict[str, Rounds]) -> Iterator[Figure]:
    own, stock, without_log = found[SKYCLASS], found[STOCK], found[NO_LOG]
    rate, ratio = median(own.rates), own.compare_rate(stock)
    yield Figure(TOPIC, name, rate, "requests/s", PEER, ratio, case.target)
    cpu, ratio = own.cpu_of_request, stock.cpu_of_request / own.cpu_of_request
    yield Figure(TOPIC, f"{name}, CPU", cpu, "ms a request", PEER, ratio)
    share = 1 - without_log.cpu_of_request / own.cpu_of_request
    yield Figure(TOPIC, f"{name}, log", share * 100, "% of the CPU", target=5)


def _print_rounds(title: str, found: dict[str, Rounds]) -> None:
    """Print the medians of every server."""
    sys.stdout.write(f"\n{title}\n")
    for name, each in found.items():
        sys.stdout.write(
            f"  {name:<10}{median(each.rates):>9,.0f} requests/s   "
            f"p50 {median(each.p50):>8.2f} ms   p99 {median(each.p99):>8.2f} ms   "
            f"CPU {each.cpu_of_request:>6.2f} ms   "
            f"rate / stock {each.compare_rate(found[STOCK]):>6.2f}\n"
        )
    sys.stdout.flush()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each server in a case")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of a round")
    given = parser.parse_args()
    for figure in measure_figures(given.rounds, given.seconds):
        print_figure(figure)


if __name__ == "__main__":
    main()
