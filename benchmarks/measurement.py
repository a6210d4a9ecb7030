"""Temporary S3 server, simulated files, and the cost of a function in its own process."""

import multiprocessing
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import SecretStr

from skyclass.local.s3_server import EmbeddedS3
from skyclass.settings import Settings
from skyclass.sources import SimulatedSource
from skyclass.storage.s3 import ObjectStore

_PROCESSES = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Cost:
    """Cost of a function that ran in its own process.

    Attributes:
        seconds: Wall clock, without the start of the process.
        cpu: Seconds of processor time of all its threads.
        megabytes: Peak memory of the process.
    """

    seconds: float
    cpu: float
    megabytes: float


@contextmanager
def run_s3_server() -> Iterator[tuple[Settings, Path]]:
    """Run an S3 server in a temporary folder; yield its settings and the folder."""
    with TemporaryDirectory() as name, EmbeddedS3(Path(name)) as access:
        settings = Settings(
            home=Path(name),
            AWS_ENDPOINT_URL=access.endpoint_url,
            AWS_ACCESS_KEY_ID=access.access_key_id,
            AWS_SECRET_ACCESS_KEY=SecretStr(access.secret_access_key),
        )
        ObjectStore(settings).make_buckets()
        yield settings, Path(name)


def make_empty_bucket(settings: Settings, name: str) -> Settings:
    """Return the settings with a new data bucket, for an empty table.

    The server allocates volumes for the first object of a bucket: it is not one of the benchmark.
    """
    own = settings.model_copy(update={"data_bucket": f"{name}-data"})
    store = ObjectStore(own)
    store.make_buckets()
    store.put(own.data_bucket, "first", b"-", "application/octet-stream")
    return own


def measure(work: Callable[..., None], *arguments: Any) -> Cost:
    """Run a function in a new process; imports of its module are not measured."""
    receiver, sender = _PROCESSES.Pipe()
    child = _PROCESSES.Process(target=_run_measured, args=(sender, work, arguments))
    child.start()
    sender.close()
    try:
        return receiver.recv()
    finally:
        child.join()


def simulate(rows: int, path: Path) -> None:
    """Write simulated rows, in the dialect of the Kaggle SDSS17 file, as CSV or Parquet."""
    writer: pq.ParquetWriter | None = None
    for number, batch in enumerate(
        SimulatedSource.from_uri(f"simulated:?rows={rows}").read_batches(0)
    ):
        part = batch.rows.to_pandas().sample(
            frac=1, random_state=number
        )  # as unsorted as the public file
        if path.suffix == ".csv":
            part = part.rename(columns={"mjd": "MJD", "fiber_id": "fiber_ID"})
            part.drop(columns="release").to_csv(path, index=False, mode="a", header=not number)
            continue
        table = pa.Table.from_pandas(part, preserve_index=False)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()


def _run_measured(pipe: Any, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    work(*arguments)
    pipe.send(
        Cost(
            time.perf_counter() - wall,
            time.process_time() - cpu,
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )
    )
