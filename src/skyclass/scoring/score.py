"""Score an input with a release: streamed, resumable and idempotent."""

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import reduce

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyclass.errors import ReleaseError, StoreError
from skyclass.promotion.champions import open_champion_store
from skyclass.registry.models import LoadedModel, download_model
from skyclass.registry.releases import Registry, Release
from skyclass.scoring.chunks import read_chunks
from skyclass.scoring.inputs import Input, Piece
from skyclass.scoring.result import ScoringResult
from skyclass.scoring.shards import Shard
from skyclass.settings import Settings
from skyclass.storage.prefetch import prefetch
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import CLASSES, NOT_MEASURED, most_probable_classes
from skyclass.tables.prediction_log import PROBABILITIES
from skyclass.tables.predictions import SCHEMA, SPEC, PredictionsTable

logger = logging.getLogger(__name__)

_MAX_KEY = {name: 2 ** (SCHEMA.field(name).type.bit_width - 1) - 1 for name in SPEC.key}
"""Largest number that fits into each key column."""

MAX_CALL_ROWS = 10_000
"""Maximum number of rows per call of the model, as in the largest request to the endpoint: support
vector machines and neural networks need many times the memory of the rows."""


def find_release(settings: Settings, mode: Mode, name: str) -> Release:
    """Return a release by its id or a unique prefix of it, or the champion for `champion`.

    Raises:
        ReleaseError: There is no such release, or it has the other mode.
    """
    if name == "champion":
        release = open_champion_store(settings).get_champion(mode)
        if release is None:
            raise ReleaseError(f"there is no {mode} champion yet: train one, or name a release")
        return release
    release = Registry(ObjectStore(settings)).find(name)
    if release.mode != mode:
        raise ReleaseError(f"release {name} has mode {release.mode}, not {mode}: set --mode")
    return release


def score(
    settings: Settings,
    source: Input,
    release: Release,
    shard: Shard = Shard(),
    progress: Callable[[int], None] = lambda rows: None,
) -> ScoringResult:
    """Score the rows of an input that a release has not scored yet.

    Each chunk is committed together with the watermark of its piece, so a killed run neither loses
    nor duplicates rows. Memory does not depend on the size of the input.

    Args:
        settings: Location of the registry and the predictions table.
        source: The input.
        release: The release that predicts.
        shard: The part of the input to score.
        progress: Called with the number of rows read after each chunk.

    Raises:
        CatalogError: The input lacks a column.
        ReleaseError: A file of the release differs from its manifest.
        StoreError: The object store failed, or the accounting does not balance.
    """
    table = PredictionsTable(settings)
    total = ScoringResult(source.uri, release.id, release.mode)
    model = download_model(Registry(ObjectStore(settings)), release)
    for piece in source.pieces[shard.number :: shard.count]:
        watermark_id = f"{piece.id}#{release.id}"
        position = table.watermark(watermark_id)
        for chunk in prefetch(_predict_chunks(source, piece, model, position)):
            merged = table.merge(
                chunk.predictions,
                watermark_id,
                position,
                position + chunk.rows_in,
                always_commit=True,
            )
            position += chunk.rows_in
            changed = merged.inserted + merged.updated
            total = replace(
                total,
                version=merged.version,
                rows_in=total.rows_in + chunk.rows_in,
                inserted=total.inserted + merged.inserted,
                updated=total.updated + merged.updated,
                duplicates=total.duplicates + chunk.complete_rows - changed,
                incomplete=total.incomplete + chunk.rows_in - chunk.complete_rows,
            )
            progress(total.rows_in)
    if not total.is_balanced:
        raise StoreError(f"the accounting of {source.uri} does not balance: {total}: report a bug")
    return total


@dataclass(frozen=True)
class _ScoredChunk:
    """Predictions for a chunk: one row per object, in the schema of the predictions table."""

    rows_in: int
    complete_rows: int
    predictions: pa.Table


def _predict_chunks(
    source: Input, piece: Piece, model: LoadedModel, start_row: int
) -> Iterator[_ScoredChunk]:
    mode = model.release.mode
    for chunk in read_chunks(source, piece, mode, start_row):
        complete = chunk.filter(_find_complete_rows(chunk, mode))
        inputs = np.column_stack([complete[name].to_numpy() for name in INPUTS[mode]])
        probabilities = _predict_probabilities(model, inputs)
        values = {
            **{name: complete[name] for name in complete.column_names},
            **dict(zip(PROBABILITIES, probabilities.T, strict=True)),
            "predicted": most_probable_classes(probabilities),
            "model_version": model.release.id,
            "mode": str(mode),
            "source": source.uri,
            "scored_at": datetime.now(UTC),
        }
        rows = _make_table(values, complete.num_rows)
        yield _ScoredChunk(chunk.num_rows, complete.num_rows, _drop_duplicates(rows))


def _predict_probabilities(
    model: LoadedModel, inputs: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Call the single-threaded model on all available cores."""
    if not len(inputs):
        return np.empty((0, len(CLASSES)))
    batches = np.array_split(inputs, -(-len(inputs) // MAX_CALL_ROWS))
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return np.concatenate(
            list(pool.map(model.predict_probabilities, batches)), dtype=np.float64
        )


def _find_complete_rows(chunk: pa.Table, mode: Mode) -> pa.ChunkedArray:
    """Return a mask of the rows with a key and all inputs; the survey's sentinel is no value."""
    key_columns = [name for name in SPEC.key if name in chunk.column_names]
    masks = [
        pc.and_(pc.greater(chunk[name], 0), pc.less_equal(chunk[name], _MAX_KEY[name]))
        for name in key_columns
    ]
    masks += [
        pc.and_(pc.is_finite(chunk[name]), pc.not_equal(chunk[name], NOT_MEASURED))
        for name in INPUTS[mode]
    ]
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


def _drop_duplicates(rows: pa.Table) -> pa.Table:
    """Keep the last row of each object."""
    duplicated = rows.select(list(SPEC.key)).to_pandas().duplicated(keep="last")
    return rows.filter(pa.array(~duplicated)) if duplicated.any() else rows
