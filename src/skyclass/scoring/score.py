"""Score an input with a release: streamed, resumable and idempotent."""

from collections.abc import Callable
from dataclasses import replace

from skyclass.errors import ReleaseError, StoreError
from skyclass.promotion.champions import open_champion_store
from skyclass.registry.models import download_model
from skyclass.registry.releases import Registry, Release
from skyclass.scoring.inputs import Input
from skyclass.scoring.predict import predict_chunks
from skyclass.scoring.result import ScoringResult
from skyclass.scoring.shards import Shard
from skyclass.settings import Settings
from skyclass.storage.prefetch import prefetch
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.predictions import PredictionsTable


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
        for chunk in prefetch(predict_chunks(source, piece, model, position)):
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
