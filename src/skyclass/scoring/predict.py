"""Predict the rows of a piece, in the schema of the predictions table."""

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import NamedTuple

import joblib
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyclass.registry.models import LoadedModel
from skyclass.registry.patterns import NO_GROUPS, find_patterns
from skyclass.scoring.chunks import read_chunks
from skyclass.scoring.inputs import Input, Piece
from skyclass.storage.table_spec import Watermark
from skyclass.survey.features import (
    ALL_INPUTS,
    INPUTS,
    Mode,
    find_group_inputs,
    find_groups,
)
from skyclass.survey.observation import CLASSES, most_probable_classes
from skyclass.tables.log.schema import PROBABILITIES
from skyclass.tables.predictions import SCHEMA, SPEC

_MAX_KEY = {name: 2 ** (SCHEMA.field(name).type.bit_width - 1) - 1 for name in SPEC.key}
"""Largest number that fits into each key column."""

MAX_CALL_ROWS = 10_000
"""Maximum number of rows per call of the model, as in the largest request to the endpoint: support
vector machines and neural networks need many times the memory of the rows."""


@dataclass(frozen=True)
class ScoredChunk:
    """Predictions for a chunk.

    Attributes:
        rows_in: Rows read.
        predictions: One row for each that has what the model needs, in the schema of the
            predictions table.
        watermark: The step in the piece.
    """

    rows_in: int
    predictions: pa.Table
    watermark: Watermark


class _Predictions(NamedTuple):
    """What a model predicts for n rows."""

    probabilities: npt.NDArray[np.float64]
    groups: npt.NDArray[np.object_]
    out_of_domain: npt.NDArray[np.object_]


def predict_chunks(
    source: Input, piece: Piece, model: LoadedModel, watermark_id: str, start_row: int
) -> Iterator[ScoredChunk]:
    """Predict the rows of a piece from row `start_row` on, a chunk at a time.

    Args:
        source: The input.
        piece: The piece.
        model: The model.
        watermark_id: Identifier of the piece's watermark.
        start_row: The watermark.

    Raises:
        CatalogError: A column is missing, or a value has the wrong type.
        StoreError: The object store is unreachable.
    """
    manifest = model.release.manifest
    mode = manifest.mode
    optional = find_group_inputs(manifest.features)
    for chunk in read_chunks(source, piece, mode, start_row, optional):
        complete = chunk.filter(_find_complete_rows(chunk, mode, manifest.missing_bands))
        predictions = _predict(model, _to_inputs(complete, mode))
        values = {
            **{name: complete[name] for name in complete.column_names},
            **dict(zip(PROBABILITIES, predictions.probabilities.T, strict=True)),
            "predicted": most_probable_classes(predictions.probabilities),
            "groups": predictions.groups,
            "out_of_domain": predictions.out_of_domain,
            "model_version": model.release.id,
            "mode": str(mode),
            "source": source.uri,
            "scored_at": datetime.now(UTC),
        }
        rows = _make_table(values, complete.num_rows)
        end_row = start_row + chunk.num_rows
        yield ScoredChunk(chunk.num_rows, rows, Watermark(watermark_id, start_row, end_row))
        start_row = end_row


def _to_inputs(rows: pa.Table, mode: Mode) -> npt.NDArray[np.float64]:
    """Return the model's inputs: the required ones alone if the rows have no other."""
    has_optional = any(name in rows.column_names for name in ALL_INPUTS[mode][len(INPUTS[mode]) :])
    names = ALL_INPUTS[mode] if has_optional else INPUTS[mode]
    inputs = np.full((rows.num_rows, len(names)), np.nan)
    for place, name in enumerate(names):
        if name in rows.column_names:
            inputs[:, place] = rows[name].to_numpy()
    return inputs


def _predict(model: LoadedModel, inputs: npt.NDArray[np.float64]) -> _Predictions:
    """Call the single-threaded model on all available cores."""
    if not len(inputs):
        nothing = np.empty(0, dtype=object)
        return _Predictions(np.empty((0, len(CLASSES))), nothing, nothing)
    batches = np.array_split(inputs, -(-len(inputs) // MAX_CALL_ROWS))
    with ThreadPoolExecutor(joblib.cpu_count()) as pool:  # heeds the CPU limit of a container
        parts = list(pool.map(lambda batch: _predict_batch(model, batch), batches))
    return _Predictions(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _predict_batch(model: LoadedModel, inputs: npt.NDArray[np.float64]) -> _Predictions:
    names = model.release.manifest.features
    features = model.compute_features(inputs)
    probabilities = model.predict_from_features(features).astype(np.float64)
    groups = np.full(len(inputs), None, dtype=object)
    out_of_domain = groups.copy()
    if found := find_groups(features, names):
        patterns, positions = find_patterns(len(inputs), found)
        texts = ["" if each == NO_GROUPS else each.replace("+", " ") for each in patterns]
        groups = np.array(texts, dtype=object)[positions]
    if model.domain is not None:
        out_of_domain[:] = model.domain.find_outside(features, names)
    return _Predictions(probabilities, groups, out_of_domain)


def _find_complete_rows(
    chunk: pa.Table, mode: Mode, missing_bands: Collection[str]
) -> pa.ChunkedArray:
    """Return a mask of the rows with a key and all inputs, or all but one that may be missing."""
    key_columns = [name for name in SPEC.key if name in chunk.column_names]
    masks = [
        pc.and_(pc.greater(chunk[name], 0), pc.less_equal(chunk[name], _MAX_KEY[name]))
        for name in key_columns
    ]
    measured = {name: pc.fill_null(pc.is_finite(chunk[name]), False) for name in INPUTS[mode]}
    masks += [mask for name, mask in measured.items() if name not in missing_bands]
    dispensable = [pc.cast(measured[name], pa.int8()) for name in missing_bands]
    if dispensable:
        masks.append(pc.greater_equal(reduce(pc.add, dispensable), len(dispensable) - 1))
    return pc.fill_null(reduce(pc.and_, masks), False)


def _make_table(values: dict[str, object], rows: int) -> pa.Table:
    """Build rows of the predictions table; missing key columns are 0, other columns null."""
    columns = []
    for field in SCHEMA:
        value = values.get(field.name, 0 if field.name in SPEC.key else None)
        if isinstance(value, pa.ChunkedArray | pa.Array):
            columns.append(value.cast(field.type))
        elif isinstance(value, np.ndarray):
            columns.append(pa.array(value, field.type))
        else:
            columns.append(pa.repeat(pa.scalar(value, field.type), rows))
    return pa.table(columns, schema=SCHEMA)
