"""What the predictor logs of a request, and its form in the prediction log."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyclass.survey.features import ALL_INPUTS, Mode
from skyclass.survey.observation import KEY, most_probable_classes
from skyclass.tables.log.schema import LOG_SCHEMA, PROBABILITIES


class LogEntry(NamedTuple):
    """The prediction for one request; a tuple, because every request creates one.

    Attributes:
        time: Time of the prediction (UTC).
        request_id: Id of the request, chosen by the client.
        idempotency_key: The same for all attempts of one request; None if the client sent none.
        model_version: Id of the release.
        mode: Mode of the release.
        inputs: Shape (n, len(INPUTS[mode])) or (n, len(ALL_INPUTS[mode])); NaN is logged as null.
        keys: Plate, MJD and fibre, shape (n, 3), zeros for rows without a key; None when no row
            has one.
        probabilities: Shape (n, 3).
        out_of_domain: Shape (n,); None if the release has no domain.
    """

    time: datetime
    request_id: str
    idempotency_key: str | None
    model_version: str
    mode: Mode
    inputs: npt.NDArray[np.float64]
    keys: npt.NDArray[np.int32] | None
    probabilities: npt.NDArray[np.float64]
    out_of_domain: npt.NDArray[np.bool_] | None = None


def to_table(entries: Sequence[LogEntry], process_id: str, first_number: int = 0) -> pa.Table:
    """Convert entries of one mode to rows of the prediction log: schema `LOG_SCHEMA`.

    It runs beside requests, so the work per row is left to libraries that release the GIL.

    Args:
        entries: What to log.
        process_id: Unique id of the predictor process.
        first_number: Number of the first entry in the process; with the process id, the number of
            an entry is its prediction id.
    """
    counts = [len(entry.inputs) for entry in entries]
    positions = pa.array(np.repeat(np.arange(len(entries)), counts))
    requests = pa.table(
        {
            "time": pa.array([entry.time for entry in entries], LOG_SCHEMA.field("time").type),
            "prediction_id": [
                f"{process_id}-{number}" for number, _ in enumerate(entries, first_number)
            ],
            "request_id": [entry.request_id for entry in entries],
            "idempotency_key": pa.array([entry.idempotency_key for entry in entries], pa.string()),
            "model_version": [entry.model_version for entry in entries],
            "mode": [str(entry.mode) for entry in entries],
        }
    )
    keys = np.concatenate(
        [
            np.zeros((count, len(KEY)), np.int32) if entry.keys is None else entry.keys
            for entry, count in zip(entries, counts, strict=True)
        ]
    )
    inputs = _join_inputs([entry.inputs for entry in entries], entries[0].mode)
    probabilities = np.concatenate([entry.probabilities for entry in entries])
    is_unknown = [entry.out_of_domain is None for entry in entries]
    outside = np.concatenate(
        [
            np.zeros(count, bool) if entry.out_of_domain is None else entry.out_of_domain
            for entry, count in zip(entries, counts, strict=True)
        ]
    )
    nulls = {field.name: pa.nulls(len(keys), field.type) for field in LOG_SCHEMA}
    columns = {
        **nulls,  # what a request lacks: photometric ones have no redshift
        **{name: requests[name].take(positions) for name in requests.column_names},
        "row": np.concatenate([np.arange(count, dtype=np.int32) for count in counts]),
        **{
            name: pa.array(values, mask=values == 0)
            for name, values in zip(KEY, keys.T, strict=True)
        },
        **inputs,
        "predicted": most_probable_classes(probabilities),
        **dict(zip(PROBABILITIES, probabilities.T.astype(np.float64), strict=True)),
        "out_of_domain": pa.array(outside, mask=np.repeat(is_unknown, counts)),
    }
    return pa.table({name: columns[name] for name in LOG_SCHEMA.names}, schema=LOG_SCHEMA)


def _join_inputs(parts: Sequence[npt.NDArray[np.float64]], mode: Mode) -> dict[str, pa.Array]:
    """Return the column of each input that an entry has."""
    width = max(part.shape[1] for part in parts)
    joined = np.concatenate(
        [
            part
            if part.shape[1] == width
            else np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=np.nan)
            for part in parts
        ]
    )
    names = ALL_INPUTS[mode][:width]
    return {
        name: pa.array(values, from_pandas=True)  # NaN becomes null
        for name, values in zip(names, joined.T, strict=True)
    }
