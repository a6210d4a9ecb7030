"""The maintenance job: merge the log, delete what has expired, and maintain the Delta tables.

It may be killed at any point: nothing is lost or doubled, and the next run completes it.
"""

import logging
from dataclasses import astuple, dataclass
from datetime import datetime
from operator import add

from skyclass.errors import StoreError
from skyclass.maintenance.cleaning import find_replaced
from skyclass.maintenance.hours import find_hours
from skyclass.maintenance.merge import count_new_files, merge_hour
from skyclass.maintenance.retention import find_expired
from skyclass.maintenance.settings import MaintenanceSettings
from skyclass.maintenance.tables import find_training_versions, maintain_table
from skyclass.storage.s3 import ObjectStore, StoreUnreachableError
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

    def __add__(self, other: "MaintenanceResult") -> "MaintenanceResult":
        return MaintenanceResult(*map(add, astuple(self), astuple(other)))


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
        StoreError: The object store is unreachable; or hours of the log are damaged, could not be
            merged in time, or failed otherwise, and the rest is done.
    """
    result = _delete_expired(store, options, now, dry_run)
    failed = []
    for hour in find_hours(store, now):
        try:
            result += _maintain_hour(store, hour, now, dry_run)
        except StoreUnreachableError:
            raise  # every other hour would wait for the same timeouts
        except StoreError as error:
            logger.error("%s", error)
            failed.append(error)
    for prefix, keep_versions in (
        (OBSERVATIONS.prefix, find_training_versions(store)),
        (PREDICTIONS.prefix, set[int]()),
    ):
        table = maintain_table(store, prefix, keep_versions, options.version_days, dry_run)
        logger.info("%s: compacted %d files, deleted %d", prefix, table.compacted, table.deleted)
        result += MaintenanceResult(
            data_files_compacted=table.compacted, data_files_deleted=table.deleted
        )
    if failed:
        are_damaged = all(isinstance(error, LogDamagedError) for error in failed)
        kind = "damaged" if are_damaged else "failed"
        raise StoreError(f"{kind} hours of the log: {len(failed)}, of which one is {failed[0]}")
    return result


def _delete_expired(
    store: ObjectStore, options: MaintenanceSettings, now: datetime, dry_run: bool
) -> MaintenanceResult:
    expired = find_expired(store, options, now)
    for bucket, keys in expired.items():
        if keys and not dry_run:
            store.delete(bucket, keys)
            logger.info("%s: deleted %d expired objects", bucket, len(keys))
    return MaintenanceResult(expired_deleted=sum(map(len, expired.values())))


def _maintain_hour(
    store: ObjectStore, hour: datetime, now: datetime, dry_run: bool
) -> MaintenanceResult:
    replaced = find_replaced(store, hour, now)
    if dry_run:
        new = count_new_files(store, hour)
        return MaintenanceResult(
            hours_merged=int(new > 0), files_merged=new, replaced_deleted=len(replaced)
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
    return MaintenanceResult(
        hours_merged=int(merged.files > 0),
        files_merged=merged.files,
        files_written=merged.written,
        rows=merged.rows,
        bytes_merged=merged.bytes_in,
        bytes_written=merged.bytes_out,
        unreadable_files=merged.unreadable,
        replaced_deleted=len(replaced),
    )
