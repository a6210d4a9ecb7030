"""What the benchmarks share: a machine's own S3 server, rows, and measured child processes."""

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
    """What a piece of work took, in a process of its own.

    Attributes:
        seconds: Wall clock, without the start of the process.
        cpu: Seconds of processor time of all its threads.
        megabytes: Peak memory of the process.
    """

    seconds: float
    cpu: float
    megabytes: float


@contextmanager
def workshop() -> Iterator[tuple[Settings, Path]]:
    """A folder that goes, and the settings of an S3 server in it."""
    with TemporaryDirectory() as name, EmbeddedS3(Path(name)) as access:
        settings = Settings(
            home=Path(name),
            AWS_ENDPOINT_URL=access.endpoint_url,
            AWS_ACCESS_KEY_ID=access.access_key_id,
            AWS_SECRET_ACCESS_KEY=SecretStr(access.secret_access_key),
        )
        ObjectStore(settings).make_buckets()
        yield settings, Path(name)


def empty_bucket(settings: Settings, name: str) -> Settings:
    """The same with a data bucket of its own, for a table that begins empty."""
    own = settings.model_copy(update={"data_bucket": f"{name}-data"})
    ObjectStore(own).make_buckets()
    return own


def measure(work: Callable[..., None], *arguments: Any) -> Cost:
    """Do the work in a fresh process; imports that it names at its top are not counted."""
    here, there = _PROCESSES.Pipe()
    child = _PROCESSES.Process(target=_measured, args=(there, work, arguments))
    child.start()
    there.close()
    try:
        return here.recv()
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


def _measured(pipe: Any, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    work(*arguments)
    pipe.send(
        Cost(
            time.perf_counter() - wall,
            time.process_time() - cpu,
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )
    )
