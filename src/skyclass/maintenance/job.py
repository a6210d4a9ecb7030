"""The maintenance job: merge the log, delete what has expired, and maintain the Delta tables.

It may be killed at any point: nothing is lost or doubled, and the next run completes it.
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime

from skyclass.errors import StoreError
from skyclass.maintenance.cleaning import find_replaced
from skyclass.maintenance.hours import find_hours
from skyclass.maintenance.merge import count_new_files, merge_hour
from skyclass.maintenance.retention import find_expired
from skyclass.maintenance.settings import MaintenanceSettings
from skyclass.maintenance.tables import find_training_versions, maintain_table
from skyclass.storage.s3 import ObjectStore
from skyclass.tables.log.layout import LogDamagedError, make_hour_prefix
from skyclass.tables.observations import SPEC as OBSERVATIONS
from skyclass.tables.predictions import SPEC as PREDICTIONS

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MaintenanceResult:
    """What a run has done; a dry run reports what it would merge, compact and delete.

    Attributes:
        hours_merged: Hours of the log in which files were merged.
        files_merged: Files of predictors that were merged.
        files_written: Merged files.
        rows: Rows in the merged files.
        bytes_merged: Size of the files of predictors.
        bytes_written: Size of the merged files.
        unreadable_files: Files that cannot be merged.
        replaced_deleted: Files of the log that were deleted because merged files replace them.
        expired_deleted: Objects that were deleted because their retention has ended.
        data_files_compacted: Files of Delta tables that were replaced by larger ones.
        data_files_deleted: Files of Delta tables that were deleted.
    """

    hours_merged: int = 0
    files_merged: int = 0
    files_written: int = 0
    rows: int = 0
    bytes_merged: int = 0
    bytes_written: int = 0
    unreadable_files: int = 0
    replaced_deleted: int = 0
    expired_deleted: int = 0
    data_files_compacted: int = 0
    data_files_deleted: int = 0


def maintain(
    store: ObjectStore, options: MaintenanceSettings, now: datetime, dry_run: bool = False
) -> MaintenanceResult:
    """Maintain the prediction log, the reports, rejected rows and the Delta tables.

    Args:
        store: The object store.
        options: How long data are kept.
        now: The current time.
        dry_run: Whether to change nothing.

    Raises:
        StoreError: The object store failed, or hours of the log are damaged; the rest is done.
    """
    result = MaintenanceResult()
    for bucket, keys in find_expired(store, options, now).items():
        result = replace(result, expired_deleted=result.expired_deleted + len(keys))
        if keys and not dry_run:
            store.delete(bucket, keys)
            logger.info("%s: deleted %d expired objects", bucket, len(keys))
    damaged = []
    for hour in find_hours(store, now):
        try:
            result = _maintain_hour(store, hour, now, dry_run, result)
        except LogDamagedError as error:
            logger.error("%s", error)
            damaged.append(error)
    result = _maintain_tables(store, options, dry_run, result)
    if damaged:
        raise StoreError(f"{len(damaged)} hours of the log are damaged, the first: {damaged[0]}")
    return result


def _maintain_hour(
    store: ObjectStore, hour: datetime, now: datetime, dry_run: bool, result: MaintenanceResult
) -> MaintenanceResult:
    replaced = find_replaced(store, hour, now)
    result = replace(result, replaced_deleted=result.replaced_deleted + len(replaced))
    if dry_run:
        new = count_new_files(store, hour)
        return replace(
            result,
            hours_merged=result.hours_merged + bool(new),
            files_merged=result.files_merged + new,
        )
    store.delete(store.settings.logs_bucket, replaced)
    merged = merge_hour(store, hour)
    logger.info(
        "%s: merged %d files into %d with %d rows, deleted %d",
        make_hour_prefix(hour),
        merged.files,
        merged.written,
        merged.rows,
        len(replaced),
    )
    return replace(
        result,
        hours_merged=result.hours_merged + bool(merged.files),
        files_merged=result.files_merged + merged.files,
        files_written=result.files_written + merged.written,
        rows=result.rows + merged.rows,
        bytes_merged=result.bytes_merged + merged.bytes_in,
        bytes_written=result.bytes_written + merged.bytes_out,
        unreadable_files=result.unreadable_files + merged.unreadable,
    )


def _maintain_tables(
    store: ObjectStore, options: MaintenanceSettings, dry_run: bool, result: MaintenanceResult
) -> MaintenanceResult:
    versions_by_table = {
        OBSERVATIONS.prefix: find_training_versions(store),
        PREDICTIONS.prefix: set(),
    }
    for prefix, keep_versions in versions_by_table.items():
        table = maintain_table(store, prefix, keep_versions, options.version_days, dry_run)
        logger.info("%s: compacted %d files, deleted %d", prefix, table.compacted, table.deleted)
        result = replace(
            result,
            data_files_compacted=result.data_files_compacted + table.compacted,
            data_files_deleted=result.data_files_deleted + table.deleted,
        )
    return result
