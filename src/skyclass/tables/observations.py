"""The observations table: one Delta Lake table on S3, merged by key and read at a version."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
from deltalake.exceptions import TableNotFoundError

from skyclass.settings import Settings
from skyclass.storage.delta import KeyedTable
from skyclass.storage.table_spec import TableSpec
from skyclass.survey.observation import KEY, MEASUREMENTS, OPTIONAL_COLUMNS, POSITION

SCHEMA = pa.schema(
    [
        *((name, pa.int32()) for name in KEY),
        *((name, pa.float64()) for name in (*POSITION, *MEASUREMENTS, *OPTIONAL_COLUMNS)),
        ("class", pa.string()),
        ("source", pa.string()),
        ("release", pa.string()),
        ("batch_id", pa.string()),
        ("ingested_at", pa.timestamp("us", tz="UTC")),
        ("era", pa.string()),
    ]
)
"""Arrow schema of the observations table.

A table has `OPTIONAL_COLUMNS` from the first source on that has one of them.

Source: SDSS DR17 data model, tables PhotoObj, SpecObj and wiseForcedTarget.
"""

SPEC = TableSpec(
    prefix="observations",
    schema=SCHEMA,
    partition_column="era",
    key=KEY,
    values=(*POSITION, *MEASUREMENTS, *OPTIONAL_COLUMNS, "class"),
    provenance=("source", "release", "batch_id", "ingested_at"),
    description="observations",
    missing_hint="run `skyclass ingest URI` first",
    late_columns=OPTIONAL_COLUMNS,
)


_MAX_COMPACTIONS = 1_000
"""Versions that are searched for the newest one with other rows."""


class ObservationsTable(KeyedTable):
    """The table of all observations, keyed by (plate, mjd, fiber_id), partitioned by era."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, SPEC)

    def identity(self) -> str:
        """Return the id that Delta Lake gave the table; a table that replaces it has another."""
        with self._translate_errors():
            return str(self._open(None).metadata().id)

    def newest_data_version(self) -> int | None:
        """Return the newest version that changed rows, as compaction does not; None without one."""
        with self._translate_errors():
            try:
                commits = self._open(None).history(_MAX_COMPACTIONS)
            except TableNotFoundError:
                return None
        return next((each["version"] for each in commits if each["operation"] != "OPTIMIZE"), None)

    def read(
        self,
        version: int,
        columns: Sequence[str],
        nights: tuple[int, int] | None = None,
        keep: Callable[[pa.RecordBatch], npt.NDArray[np.bool_]] | None = None,
    ) -> pd.DataFrame:
        """Read the table at a version, sorted by night, plate and fibre.

        Args:
            version: Version of the table; a version always has the same rows.
            columns: Columns of the schema to read; those that this version lacks are null.
            nights: First and last night (MJD), both included; None for all nights.
            keep: Returns a mask of the rows to keep of a batch, which has at least the columns of
                the key; only these are held in memory. None for all rows.

        Raises:
            StoreError: The object store failed, or there is no such version.
        """
        names = list(dict.fromkeys([*columns, *KEY]))
        schema = pa.schema([SCHEMA.field(name) for name in names])
        batches = self.read_batches(version, names, nights)
        kept = [batch.filter(pa.array(keep(batch))) if keep else batch for batch in batches]
        order = [(name, "ascending") for name in ("mjd", "plate", "fiber_id")]
        rows = pa.Table.from_batches(kept, schema).sort_by(order)
        del kept  # the rows are in memory once more as pandas
        return rows.select(list(columns)).to_pandas()

    def read_batches(
        self, version: int, columns: Sequence[str], nights: tuple[int, int] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Read the table at a version in batches, in any order and with bounded memory.

        Args:
            version: Version of the table.
            columns: Distinct columns of the schema; those that this version lacks are null.
            nights: First and last night (MJD), both included; None for all nights.

        Raises:
            StoreError: The object store failed, or there is no such version.
        """
        night = ds.field("mjd")
        within = (night >= nights[0]) & (night <= nights[1]) if nights else None
        schema = pa.schema([SCHEMA.field(name) for name in columns])
        with self._translate_errors():
            dataset = self._open(version).to_pyarrow_dataset()
            stored = [name for name in columns if name in dataset.schema.names]
            batches = dataset.to_batches(
                columns=stored, filter=within, batch_readahead=2, fragment_readahead=1
            )
            for batch in batches:
                read = dict(zip(stored, batch.columns, strict=True))
                arrays = [
                    read[field.name] if field.name in read else pa.nulls(len(batch), field.type)
                    for field in schema
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def list_data_releases(self, version: int) -> list[str]:
        """Return the data releases of the survey that the rows of a version are from.

        Raises:
            StoreError: The object store failed, or there is no such version.
        """
        with self._translate_errors():
            dataset = self._open(version).to_pyarrow_dataset()
            parts = [batch.column(0).unique() for batch in dataset.to_batches(columns=["release"])]
        return sorted({name for part in parts for name in part.to_pylist() if name})
