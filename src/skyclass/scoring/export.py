"""Export the predictions of a release as a catalogue that can be published."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skyclass.errors import CatalogError, one_line
from skyclass.registry.releases import Release
from skyclass.scoring.catalogue_facts import Publication, list_facts, make_metadata
from skyclass.settings import Settings
from skyclass.tables.catalogue import fits
from skyclass.tables.catalogue.atomic import replace_file
from skyclass.tables.catalogue.columns import describe_field
from skyclass.tables.catalogue.rows import Rows, drop_empty_columns, summarise
from skyclass.tables.catalogue.write import (
    CATALOGUE_SUFFIXES,
    check_catalogue,
    is_catalogue,
    write_catalogue,
)
from skyclass.tables.prediction_history import read_scored_inputs
from skyclass.tables.predictions import SCHEMA, SPEC, PredictionsTable

EXPORT_SUFFIXES = (*CATALOGUE_SUFFIXES, ".parquet")
_ABOUT_EACH_ROW = ("model_version", "mode", "source", "scored_at")
"""Columns that are the same for all rows of a catalogue, or of no use outside the installation."""


@dataclass(frozen=True)
class Export:
    """A catalogue that was written.

    Attributes:
        file: The file.
        release: Id of the release.
        rows: Number of objects.
        columns: Number of columns.
        checksum: File with the SHA-256 of the catalogue; None for FITS, which holds its own sums.
    """

    file: str
    release: str
    rows: int
    columns: int
    checksum: str | None


def export_predictions(
    settings: Settings,
    release: Release,
    target: Path,
    publication: Publication = Publication(),
    source: str | None = None,
) -> Export:
    """Write the predictions of a release as a catalogue.

    One version of the predictions table is read twice and streamed, except for ECSV. Columns that
    no object has are left out. The file is replaced when it is complete.

    Args:
        settings: Location of the predictions table.
        release: The release.
        target: The file, with one of `EXPORT_SUFFIXES`.
        publication: What it says about its publication.
        source: Address of the only input whose predictions are exported; None for all.

    Raises:
        CatalogError: There are no predictions, or the file cannot be written.
        StoreError: The object store failed.
    """
    if not target.parent.is_dir():
        raise CatalogError(f"{target}: there is no folder {target.parent}: create it")
    table = PredictionsTable(settings)
    version = table.version()
    everything = Rows(_SCHEMA, partial(_read, table, release, version, source))
    rows, content = drop_empty_columns(everything, summarise(everything))
    if content.rows == 0:
        raise _no_rows_error(settings, release, source)
    facts = list_facts(settings, release, content.rows, publication) | {
        "predictions_version": version
    }
    if source is not None:
        facts["source"] = source
    rows = Rows(rows.schema.with_metadata(make_metadata(release, facts)), rows.read)
    name = f"release {release.id[:12]}"
    if is_catalogue(target):
        check_catalogue(rows, content, target, name)
    try:
        with replace_file(target) as path:
            if is_catalogue(target):
                write_catalogue(rows, content, path, target, name)
            else:
                _write_parquet(rows, path)
        checksum = None if target.suffix.lower() in fits.SUFFIXES else _write_checksum(target)
    except OSError as error:
        raise CatalogError(f"{target}: cannot be written ({one_line(error)})") from error
    return Export(
        file=str(target),
        release=release.id,
        rows=content.rows,
        columns=len(rows.schema),
        checksum=None if checksum is None else str(checksum),
    )


_SCHEMA = pa.schema(
    [
        describe_field(field.name, field.type)
        for field in SCHEMA
        if field.name not in _ABOUT_EACH_ROW
    ]
)


def _read(
    table: PredictionsTable, release: Release, version: int, source: str | None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows; the 0 of a key that an object does not have becomes null."""
    for batch in table.read_batches(release.id, _SCHEMA.names, version, source):
        columns = [
            pc.replace_with_mask(column, pc.equal(column, 0), pa.scalar(None, column.type))
            if name in SPEC.key
            else column
            for name, column in zip(_SCHEMA.names, batch.columns, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)


def _no_rows_error(settings: Settings, release: Release, source: str | None) -> CatalogError:
    inputs = [each.uri for each in read_scored_inputs(settings, release.id)]
    if source is None or not inputs:
        return CatalogError(
            f"release {release.id[:12]} has no predictions: score something with it "
            f"(`skyclass score URI --release {release.id[:12]}`)"
        )
    return CatalogError(
        f"release {release.id[:12]} has no predictions for {source}: choose one of "
        f"{', '.join(inputs)}"
    )


def _write_parquet(rows: Rows, path: Path) -> None:
    with pq.ParquetWriter(path, rows.schema) as writer:
        for batch in rows.read():
            writer.write_batch(batch)


def _write_checksum(target: Path) -> Path:
    """Write the SHA-256 of a file beside it, as `sha256sum --check` reads it."""
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    checksum = target.with_name(f"{target.name}.sha256")
    with replace_file(checksum) as path:
        path.write_text(f"{digest}  {target.name}\n")
    return checksum
