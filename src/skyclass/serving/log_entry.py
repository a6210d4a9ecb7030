"""What the predictor logs of a request, and its form in the prediction log."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyclass.survey.features import ALL_INPUTS, Mode
from skyclass.survey.observation import CLASSES, KEY
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
    """Convert entries of one mode to rows of the prediction log.

    It runs beside requests, so the work per row is left to libraries that release the GIL.

    Args:
        entries: What to log.
        process_id: Unique id of the predictor process.
        first_number: Number of the first entry in the process; with the process id, the number of
            an entry is its prediction id.

    Returns:
        The columns of `LOG_SCHEMA` that have a value, and the idempotency key. Texts are
        dictionaries, so that no text is copied or hashed for each row.
    """
    size = len(entries)
    counts = np.array([len(entry.inputs) for entry in entries])
    positions = np.repeat(np.arange(size, dtype=np.int32), counts)
    rows = np.arange(len(positions)) - np.repeat(counts.cumsum() - counts, counts)
    requests = {
        "time": pa.array([entry.time for entry in entries], LOG_SCHEMA.field("time").type),
        "prediction_id": _encode([f"{process_id}-{first_number + at}" for at in range(size)]),
        "request_id": _encode([entry.request_id for entry in entries]),
        "idempotency_key": _encode([entry.idempotency_key for entry in entries]),
        "model_version": _encode([entry.model_version for entry in entries]),
        "mode": _encode([str(entries[0].mode)] * size),
    }
    probabilities = np.concatenate([entry.probabilities for entry in entries])
    columns = {
        **{name: values.take(pa.array(positions)) for name, values in requests.items()},
        "row": pa.array(rows.astype(np.int32)),
        **_make_key_columns(entries),
        **_make_input_columns(entries),
        "predicted": pa.DictionaryArray.from_arrays(probabilities.argmax(axis=1), CLASSES),
        **dict(zip(PROBABILITIES, probabilities.T.astype(np.float64), strict=True)),
        **_make_domain_column(entries, counts),
    }
    return pa.table({name: columns[name] for name in LOG_SCHEMA.names if name in columns})


def _encode(texts: Sequence[str | None]) -> pa.DictionaryArray:
    return pa.array(texts, pa.string()).dictionary_encode()


def _make_key_columns(entries: Sequence[LogEntry]) -> dict[str, pa.Array]:
    """Return the columns of the keys; none if no request has one."""
    if all(entry.keys is None for entry in entries):
        return {}
    keys = np.concatenate(
        [
            np.zeros((len(entry.inputs), len(KEY)), np.int32) if entry.keys is None else entry.keys
            for entry in entries
        ]
    )
    return {
        name: pa.array(values, mask=values == 0) for name, values in zip(KEY, keys.T, strict=True)
    }


def _make_input_columns(entries: Sequence[LogEntry]) -> dict[str, pa.Array]:
    """Return the column of each input that a request has."""
    parts = [entry.inputs for entry in entries]
    width = max({part.shape[1] for part in parts})
    joined = np.concatenate(
        [
            part
            if part.shape[1] == width
            else np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=np.nan)
            for part in parts
        ]
    )
    names = ALL_INPUTS[entries[0].mode][:width]
    return {
        name: pa.array(values, from_pandas=bool(np.isnan(values).any()))  # NaN becomes null
        for name, values in zip(names, np.ascontiguousarray(joined.T), strict=True)
    }


def _make_domain_column(
    entries: Sequence[LogEntry], counts: npt.NDArray[np.int64]
) -> dict[str, pa.Array]:
    """Return the column `out_of_domain`; none if no release has a domain."""
    parts = [entry.out_of_domain for entry in entries]
    is_unknown = [part is None for part in parts]
    if all(is_unknown):
        return {}
    outside = np.concatenate(
        [
            np.zeros(count, bool) if part is None else part
            for part, count in zip(parts, counts, strict=True)
        ]
    )
    return {"out_of_domain": pa.array(outside, mask=np.repeat(is_unknown, counts))}
