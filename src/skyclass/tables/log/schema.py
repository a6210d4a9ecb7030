"""Schemas of the prediction log and of the reference rows of a release."""

import io
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from skyclass.storage.formats import Format
from skyclass.survey.features import OPTIONAL_INPUTS, Mode
from skyclass.survey.observation import CLASSES, KEY, MEASUREMENTS

if TYPE_CHECKING:
    import pandas as pd  # the predictor starts without it

PROBABILITIES = tuple(f"p_{name}" for name in CLASSES)
"""Columns of the class probabilities, in the order of `CLASSES`."""

_PREDICTION_FIELDS = [
    *((name, pa.int32()) for name in KEY),  # null if the request has no key
    *((name, pa.float64()) for name in MEASUREMENTS),  # redshift is null in photometric mode
    *((name, pa.float64()) for name in OPTIONAL_INPUTS[Mode.PHOTOMETRIC]),
    ("predicted", pa.string()),
    *((name, pa.float64()) for name in PROBABILITIES),
    ("out_of_domain", pa.bool_()),  # null if the release has no domain
]

LOG_SCHEMA = pa.schema(
    [
        ("time", pa.timestamp("us", tz="UTC")),
        ("prediction_id", pa.string()),
        ("request_id", pa.string()),
        ("idempotency_key", pa.string()),  # null if the client sent none
        ("row", pa.int32()),
        ("model_version", pa.string()),
        ("mode", pa.string()),
        *_PREDICTION_FIELDS,
    ]
)
"""One row per predicted object, identified by (`prediction_id`, `row`).

`prediction_id` is the predictor's own id of the request, so no two rows of the log have the same
identity. `request_id` is the client's id, which may be the same for many requests. The attempts of
one request have the same `idempotency_key`: readers count the rows of the first attempt only.
`model_version` is the id of the release.
"""

LOG_FORMAT = Format("file of the prediction log", "0.2.0")

REFERENCE_SCHEMA = pa.schema([*_PREDICTION_FIELDS, ("class", pa.string())])
"""A release's `reference.parquet`: hold-out rows with the release's predictions and labels."""

REFERENCE_FORMAT = Format("reference of a release", "0.2.0")

MAX_REFERENCE_ROWS = 50_000


def read_reference(data: bytes) -> "pd.DataFrame":
    """Read a release's `reference.parquet`: columns of `REFERENCE_SCHEMA`."""
    REFERENCE_FORMAT.check_parquet(pq.read_metadata(io.BytesIO(data)), "reference.parquet")
    return pq.read_table(io.BytesIO(data), schema=REFERENCE_SCHEMA).to_pandas()
