"""The predictions table: what each release says of each object, once."""

from collections.abc import Iterator

import pyarrow as pa

from skyclass.settings import Settings
from skyclass.storage.delta import KeyedTable, TableSpec
from skyclass.survey.observation import KEY, MEASUREMENTS
from skyclass.tables.prediction_log import PROBABILITIES

SOURCE_ID = "source_id"
"""Identifies an object of photometry alone, which has no plate, night and fibre; else 0."""

_AHEAD = 2
"""So many batches are read before they are asked for: enough to be busy, and no more memory."""

SCHEMA = pa.schema(
    [
        (SOURCE_ID, pa.int64()),
        *((name, pa.int32()) for name in KEY),  # 0 for an object of photometry alone
        ("model_version", pa.string()),
        ("mode", pa.string()),
        *((name, pa.float64()) for name in MEASUREMENTS),
        ("predicted", pa.string()),
        *((name, pa.float64()) for name in PROBABILITIES),
        ("class", pa.string()),  # the label, where it is known
        ("source", pa.string()),
        ("scored_at", pa.timestamp("us", tz="UTC")),  # when the object was first answered
    ]
)

SPEC = TableSpec(
    prefix="predictions",
    schema=SCHEMA,
    partition_column="model_version",
    key=(SOURCE_ID, *KEY),
    values=(*MEASUREMENTS, "predicted", *PROBABILITIES, "class"),
    provenance=("source",),
    description="predictions",
    missing_hint="score something first (`skyclass score URI`)",
)


class PredictionsTable(KeyedTable):
    """All predictions in batches, keyed by object and release, partitioned by release."""

    def __init__(self, settings: Settings) -> None:
        """Name the table; nothing is contacted yet."""
        super().__init__(settings, SPEC)

    def batches(self, model_version: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Read what a release said, a batch of rows at a time.

        Args:
            model_version: The release.
            columns: The columns wanted.
        """
        schema = pa.schema([SCHEMA.field(name) for name in columns])
        with self._translate_errors():
            dataset = self._open(None).to_pyarrow_dataset(
                file_pruning_predicate=[("model_version", "=", model_version)]
            )
            for batch in dataset.to_batches(
                columns=columns, batch_readahead=_AHEAD, fragment_readahead=1
            ):
                yield batch.cast(schema)
