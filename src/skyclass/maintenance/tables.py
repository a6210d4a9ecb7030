"""Maintenance of a Delta table: compaction, a checkpoint, and vacuum.

No version is lost that a release was trained on, nor one that is younger than the declared days.
"""

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from skyclass.errors import one_line
from skyclass.registry.releases import Registry
from skyclass.storage.delta_errors import explain
from skyclass.storage.delta_options import make_storage_options
from skyclass.storage.s3 import ObjectStore
from skyclass.storage.table_format import check_table
from skyclass.survey.features import Mode

logger = logging.getLogger(__name__)

SMALL_FILE_BYTES = 16 * 2**20
"""Only smaller files are compacted, to files of about this size. Batch scoring knows its input by
file, so the rows of compacted files are scored once more, without a change."""

MIN_SMALL_FILES = 100
"""Small files that a partition must have, so that a row is compacted about twice in its life."""


@dataclass(frozen=True)
class MaintainedTable:
    """The outcome of the maintenance of a table.

    Attributes:
        compacted: Number of files that were replaced by larger ones.
        deleted: Number of files that were deleted.
    """

    compacted: int = 0
    deleted: int = 0


def maintain_table(
    store: ObjectStore, prefix: str, keep_versions: Collection[int], days: int, dry_run: bool
) -> MaintainedTable:
    """Compact small files, write a checkpoint, and delete files that no kept version has.

    Data files of killed jobs, which are in no version, are deleted, too.

    Args:
        store: The object store.
        prefix: Prefix of the table in the data bucket.
        keep_versions: Versions that stay readable.
        days: Age in days up to which files stay that were replaced or are in no version.
        dry_run: Whether to change nothing.

    Raises:
        NewerFormatError: A newer version of skyclass has introduced the table's format.
        StoreError: The object store failed.
    """
    bucket = store.settings.data_bucket
    uri = f"s3://{bucket}/{prefix}"
    with _translate_errors(uri, store.settings.endpoint_url):
        try:
            table = DeltaTable(uri, storage_options=make_storage_options(store.settings))
        except TableNotFoundError:
            return MaintainedTable()
        check_table(table)
        compacted = _compact(table, dry_run)
        unused = table.vacuum(
            retention_hours=24 * days,
            # A vacuum of delta-rs makes two versions every time, because it does not know which of
            # the unused files exist: it only lists them here.
            dry_run=True,
            enforce_retention_duration=False,  # the declared days may be fewer than its default
            full=True,  # also files that are in no version
            keep_versions=sorted(each for each in keep_versions if each <= table.version()),
        )
        stored = set(store.list_keys(bucket, f"{prefix}/"))
        files = sorted(stored & {f"{prefix}/{path}" for path in unused})
        if not dry_run:
            store.delete(bucket, files)
            table.create_checkpoint()
    return MaintainedTable(compacted, len(files))


def find_training_versions(store: ObjectStore) -> set[int]:
    """Return the versions of the observations table that releases were trained on."""
    registry = Registry(store)
    return {
        release.manifest.training_set.version
        for mode in Mode
        for release in registry.list_releases(mode)
    }


def _compact(table: DeltaTable, dry_run: bool) -> int:
    """Compact the partitions with many small files, and return the number of their small files."""
    files = pa.table(table.get_add_actions(flatten=True))
    (column,) = table.metadata().partition_columns
    small = files.filter(pc.field("size_bytes") < SMALL_FILE_BYTES)
    compacted = 0
    for partition in pc.value_counts(small[f"partition.{column}"]).to_pylist():
        if partition["counts"] < MIN_SMALL_FILES:
            continue
        if not dry_run:
            try:
                table.optimize.compact(
                    partition_filters=[(column, "=", partition["values"])],
                    target_size=SMALL_FILE_BYTES,
                )
            except CommitFailedError as error:
                logger.warning(
                    "%s: another writer changed the table, it is compacted by the next run: %s",
                    table.table_uri,
                    one_line(error),
                )
                table.update_incremental()
                continue
        compacted += partition["counts"]
    return compacted


@contextmanager
def _translate_errors(uri: str, endpoint: str) -> Iterator[None]:
    try:
        yield
    except (DeltaError, OSError) as error:
        raise explain(str(error), uri, endpoint) from error
