"""Score an input with a release: streamed, resumable and idempotent."""

from collections.abc import Callable
from dataclasses import replace
from itertools import chain

import pyarrow as pa

from skyclass.errors import ReleaseError, StoreError
from skyclass.promotion.champions import open_champion_store
from skyclass.registry.models import download_model
from skyclass.registry.releases import Registry, Release
from skyclass.scoring.inputs import Input
from skyclass.scoring.predict import ScoredChunk, predict_chunks
from skyclass.scoring.result import ScoringResult
from skyclass.scoring.shards import Shard
from skyclass.settings import Settings
from skyclass.storage.part import MergeResult
from skyclass.storage.parts import gather
from skyclass.storage.prefetch import prefetch
from skyclass.storage.s3 import ObjectStore
from skyclass.storage.table_spec import join_watermarks
from skyclass.survey.features import Mode
from skyclass.tables.predictions import PredictionsTable

_CHUNKS_AHEAD = 4
"""Chunks that are predicted while a part is committed."""


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

    A part of the rows is committed at once, together with the watermarks of its pieces, so a killed
    run neither loses nor duplicates rows. Memory does not depend on the size of the input.

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
    pieces = {f"{piece.id}#{release.id}": piece for piece in shard.select(source.pieces)}
    chunks = chain.from_iterable(
        predict_chunks(source, pieces[watermark_id], model, watermark_id, position)
        for watermark_id, position in table.watermarks(pieces).items()
    )
    predicted = prefetch(chunks, _CHUNKS_AHEAD)
    for part in gather(predicted, lambda chunk: chunk.rows_in, progress):
        total = _add(total, part, _merge(table, part))
        del part  # its rows would stay in memory until the next part is complete
    if not total.is_balanced:
        raise StoreError(f"the accounting of {source.uri} does not balance: {total}: report a bug")
    return total


def _merge(table: PredictionsTable, part: list[ScoredChunk]) -> MergeResult:
    rows = pa.concat_tables([chunk.predictions for chunk in part])
    watermarks = join_watermarks(chunk.watermark for chunk in part)
    return table.merge(rows, *watermarks, always_commit=True)


def _add(total: ScoringResult, part: list[ScoredChunk], merged: MergeResult) -> ScoringResult:
    rows_in = sum(chunk.rows_in for chunk in part)
    complete = sum(chunk.predictions.num_rows for chunk in part)
    changed = merged.inserted + merged.updated
    return replace(
        total,
        version=merged.version,
        rows_in=total.rows_in + rows_in,
        inserted=total.inserted + merged.inserted,
        updated=total.updated + merged.updated,
        duplicates=total.duplicates + complete - changed,
        incomplete=total.incomplete + rows_in - complete,
    )
