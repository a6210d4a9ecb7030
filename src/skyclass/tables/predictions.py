"""The predictions table: one batch prediction per object and release."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.dataset as ds

from skyclass.settings import Settings
from skyclass.storage.delta import KeyedTable
from skyclass.storage.table_spec import TableSpec
from skyclass.survey.observation import KEY, MEASUREMENTS
from skyclass.tables.log.schema import PROBABILITIES

SOURCE_ID = "source_id"
"""Column with the id of an object without a spectrum; 0 for an object with a key."""

_BATCH_READAHEAD = 2
"""Number of batches to prefetch: enough to keep the reader busy, with little memory."""

SCHEMA = pa.schema(
    [
        (SOURCE_ID, pa.int64()),
        *((name, pa.int32()) for name in KEY),  # 0 for an object without a spectrum
        ("model_version", pa.string()),
        ("mode", pa.string()),
        *((name, pa.float64()) for name in MEASUREMENTS),
        ("predicted", pa.string()),
        *((name, pa.float64()) for name in PROBABILITIES),
        ("class", pa.string()),  # the label, null if unknown
        ("source", pa.string()),
        ("scored_at", pa.timestamp("us", tz="UTC")),  # when the object was first scored
        ("groups", pa.string()),  # optional groups that the release used, joined by a space
        ("out_of_domain", pa.bool_()),  # null if the release has no domain
    ]
)

SPEC = TableSpec(
    prefix="predictions",
    schema=SCHEMA,
    partition_column="model_version",
    key=(SOURCE_ID, *KEY),
    values=(*MEASUREMENTS, "predicted", *PROBABILITIES, "class", "groups", "out_of_domain"),
    provenance=("source",),
    description="predictions",
    missing_hint="score something first (`skyclass score URI`)",
    late_columns=("groups", "out_of_domain"),
)


class PredictionsTable(KeyedTable):
    """The Delta table of batch predictions, partitioned by release."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, SPEC)

    def read_batches(
        self,
        model_version: str,
        columns: list[str],
        version: int | None = None,
        source: str | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Read columns of the predictions of a release in batches.

        Args:
            model_version: Id of the release.
            columns: Names of columns of the schema; those that the table lacks are null.
            version: Version of the table; None for the newest.
            source: Address of the only input whose predictions are read; None for all.

        Raises:
            StoreError: The object store failed.
        """
        schema = pa.schema([SCHEMA.field(name) for name in columns])
        with self._translate_errors():
            dataset = self._open(version).to_pyarrow_dataset(
                file_pruning_predicate=[("model_version", "=", model_version)]
            )
            stored = [name for name in columns if name in dataset.schema.names]
            for batch in dataset.to_batches(
                columns=stored,
                filter=None if source is None else ds.field("source") == source,
                batch_readahead=_BATCH_READAHEAD,
                fragment_readahead=1,
            ):
                for name in set(columns) - set(stored):
                    batch = batch.append_column(name, pa.nulls(len(batch)))
                yield batch.select(columns).cast(schema)
