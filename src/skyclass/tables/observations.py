"""The observations table: one Delta Lake table on S3, written by key, read at a version."""

import pandas as pd
import pyarrow as pa

from skyclass.settings import Settings
from skyclass.storage.delta import KeyedTable, TableSpec
from skyclass.survey.observation import KEY, MEASUREMENTS, POSITION

SCHEMA = pa.schema(
    [
        *((name, pa.int32()) for name in KEY),
        *((name, pa.float64()) for name in (*POSITION, *MEASUREMENTS)),
        ("class", pa.string()),
        ("source", pa.string()),
        ("release", pa.string()),
        ("batch_id", pa.string()),
        ("ingested_at", pa.timestamp("us", tz="UTC")),
        ("era", pa.string()),
    ]
)
"""The observations table.

Source: SDSS DR17 data model, tables PhotoObj and SpecObj.
"""

SPEC = TableSpec(
    prefix="observations",
    schema=SCHEMA,
    partition_column="era",
    key=KEY,
    values=(*POSITION, *MEASUREMENTS, "class"),
    provenance=("source", "release", "batch_id", "ingested_at"),
    description="observations",
    missing_hint="ingest something first (`skyclass ingest URI`)",
)


class ObservationsTable(KeyedTable):
    """The table of all observations, keyed by (plate, mjd, fiber_id), partitioned by era."""

    def __init__(self, settings: Settings) -> None:
        """Name the table; nothing is contacted yet."""
        super().__init__(settings, SPEC)

    def identity(self) -> str:
        """What sets the table apart from another one that was made at its place, or elsewhere."""
        with self._translate_errors():
            return str(self._open(None).metadata().id)

    def read(
        self, version: int, columns: list[str], nights: tuple[int, int] | None = None
    ) -> pd.DataFrame:
        """Read the table as it was at a version, in the order of the key.

        Args:
            version: A version of the table; the same one always gives the same rows.
            columns: The columns wanted.
            nights: The first and the last night (MJD) wanted; all when not given.
        """
        between = [("mjd", ">=", nights[0]), ("mjd", "<=", nights[1])] if nights else None
        with self._translate_errors():
            wanted = list(dict.fromkeys([*columns, *KEY]))
            table = self._open(version).to_pyarrow_table(columns=wanted, filters=between)
        order = [(name, "ascending") for name in ("mjd", "plate", "fiber_id")]
        return table.sort_by(order).select(columns).to_pandas()
