"""Rows of tables as instances of KServe V1, and its predictions as rows."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from msgspec.structs import astuple

from skyclass.survey.features import INPUTS, OPTIONAL_INPUTS, Mode
from skyclass.survey.observation import CLASSES, KEY
from skyclass.tables.log.schema import PROBABILITIES

PREDICTION_COLUMNS = ("predicted", *PROBABILITIES, "model_version", "flags", "out_of_domain")
"""Columns of every prediction."""

UNCERTAIN = "uncertain"
"""Predicted class of rows below the cut of the requested purity."""

_GROUPS, _LABELS = "groups", "labels"

_Probabilities = msgspec.defstruct("_Probabilities", [(name, float) for name in CLASSES])


class RowPrediction(msgspec.Struct, rename={"predicted": "class"}):
    """The prediction for one row; what was not requested, or is not known, is absent."""

    predicted: str
    probabilities: _Probabilities  # type: ignore[valid-type]
    flags: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    labels: tuple[str, ...] | None = None
    certain: bool | None = None
    out_of_domain: bool | None = None


class PredictResponse(msgspec.Struct):
    """The response to a V1 request."""

    predictions: list[RowPrediction]
    model_version: str


def list_columns(rows: pd.DataFrame, mode: Mode, coverage: float | None = None) -> list[str]:
    """Return the names of the columns that `Client.classify` returns for a table."""
    columns = list(PREDICTION_COLUMNS)
    if _list_optional(rows, mode):
        columns.append(_GROUPS)
    if coverage is not None:
        columns.append(_LABELS)
    return columns


def to_records(rows: pd.DataFrame, mode: Mode) -> list[dict[str, Any]]:
    """Convert rows to V1 instances.

    Missing inputs become null; missing optional inputs and incomplete keys are omitted. Infinite
    values, which JSON cannot express, count as missing.

    Args:
        rows: Columns INPUTS[mode] and, optionally, numeric columns of OPTIONAL_INPUTS[mode], and
            plate, mjd and fiber_id; others are ignored.
        mode: Mode of the model.

    Examples:
        >>> rows = pd.DataFrame({"u": [19.5], "g": [18.1], "r": [17.5], "i": [None], "z": [16.9]})
        >>> to_records(rows.assign(name="an object"), Mode.PHOTOMETRIC)
        [{'u': 19.5, 'g': 18.1, 'r': 17.5, 'i': None, 'z': 16.9}]
        >>> (record,) = to_records(rows.assign(w1=15.5, w2=float("nan")), Mode.PHOTOMETRIC)
        >>> record["w1"], "w2" in record
        (15.5, False)
        >>> to_records(rows.assign(plate=266, mjd=51602, fiber_id=7), Mode.PHOTOMETRIC)[0]["plate"]
        266
    """
    names = [*INPUTS[mode], *_list_optional(rows, mode)]
    inputs = rows[names]
    records: list[Any] = inputs.astype(object).to_dict("records")
    is_missing = inputs.isna() | inputs.isin([np.inf, -np.inf])
    for row, column in np.argwhere(is_missing).tolist():
        if column < len(INPUTS[mode]):
            records[row][names[column]] = None
        else:
            del records[row][names[column]]
    if set(KEY) <= set(rows.columns):
        keys = rows[list(KEY)].astype(object).to_dict("records")
        for row in np.flatnonzero(rows[list(KEY)].notna().all(axis=1)).tolist():
            records[row] |= keys[row]
    return records


def omit_optional(record: dict[str, Any], mode: Mode) -> dict[str, Any]:
    """Return an instance without its optional inputs."""
    return {name: value for name, value in record.items() if name not in OPTIONAL_INPUTS[mode]}


def to_rows(response: PredictResponse, columns: Sequence[str]) -> list[list[Any]]:
    """Convert predictions to rows of a table.

    Args:
        response: The predictions.
        columns: Columns of the table, as `list_columns` returns them.
    """
    rows = []
    for each in response.predictions:
        values = {
            "predicted": UNCERTAIN if each.certain is False else each.predicted,
            **dict(zip(PROBABILITIES, astuple(each.probabilities), strict=True)),
            "model_version": response.model_version,
            "flags": "; ".join(each.flags),
            "out_of_domain": each.out_of_domain,
            _GROUPS: " ".join(each.groups),
            _LABELS: " ".join(each.labels or ()),
        }
        rows.append([values[column] for column in columns])
    return rows


def _list_optional(rows: pd.DataFrame, mode: Mode) -> list[str]:
    """Return the optional inputs of a table. Another column of text may have the same name."""
    return [
        name
        for name in OPTIONAL_INPUTS[mode]
        if name in rows.columns and pd.api.types.is_numeric_dtype(rows[name])
    ]
