"""The observations table: one Delta Lake table on S3, merged by key and read at a version."""

import pandas as pd
import pyarrow as pa

from skyclass.settings import Settings
from skyclass.storage.delta import KeyedTable, TableSpec
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


class ObservationsTable(KeyedTable):
    """The table of all observations, keyed by (plate, mjd, fiber_id), partitioned by era."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, SPEC)

    def identity(self) -> str:
        """Return the id that Delta Lake gave the table; a table that replaces it has another."""
        with self._translate_errors():
            return str(self._open(None).metadata().id)

    def read(
        self, version: int, columns: list[str], nights: tuple[int, int] | None = None
    ) -> pd.DataFrame:
        """Read the table at a version, sorted by night, plate and fibre.

        Args:
            version: Version of the table; a version always has the same rows.
            columns: Columns of the schema to read; those that this version lacks are null.
            nights: First and last night (MJD), both included; None for all nights.

        Raises:
            StoreError: The object store failed, or there is no such version.
        """
        filters = [("mjd", ">=", nights[0]), ("mjd", "<=", nights[1])] if nights else None
        with self._translate_errors():
            opened = self._open(version)
            stored = {field.name for field in opened.schema().fields}
            read_columns = [name for name in dict.fromkeys([*columns, *KEY]) if name in stored]
            table = opened.to_pyarrow_table(columns=read_columns, filters=filters)
        for name in dict.fromkeys(columns):
            if name not in stored:
                nulls = pa.nulls(table.num_rows, SCHEMA.field(name).type)
                table = table.append_column(name, nulls)
        order = [(name, "ascending") for name in ("mjd", "plate", "fiber_id")]
        return table.sort_by(order).select(columns).to_pandas()

    def list_data_releases(self, version: int) -> list[str]:
        """Return the data releases of the survey that the rows of a version are from.

        Raises:
            StoreError: The object store failed, or there is no such version.
        """
        with self._translate_errors():
            dataset = self._open(version).to_pyarrow_dataset()
            parts = [batch.column(0).unique() for batch in dataset.to_batches(columns=["release"])]
        return sorted({name for part in parts for name in part.to_pylist() if name})
