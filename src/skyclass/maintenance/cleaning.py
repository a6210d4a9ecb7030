"""Deleting the files of an hour of the prediction log that its index replaces."""

from datetime import datetime

from skyclass.maintenance.merge import GRACE, find_index
from skyclass.maintenance.merged_file import MERGED_FOLDER
from skyclass.storage.s3 import ObjectStore
from skyclass.tables.log.layout import HourIndex, LogDamagedError, make_hour_prefix


def find_replaced(store: ObjectStore, hour: datetime, now: datetime) -> list[str]:
    """Return the keys of files that no reader needs any more.

    These are the files whose rows are in merged files, and merged files without an index, which a
    killed run or one of two runs at the same time has left behind. Files are kept for a time
    (`GRACE`), because a reader may have listed them, or a run may be about to name them.

    Args:
        store: The object store.
        hour: Any time in the hour (UTC).
        now: The current time.

    Raises:
        LogDamagedError: A merged file is missing.
        StoreError: The object store failed.
    """
    prefix = make_hour_prefix(hour)
    index = find_index(store, prefix)  # read first: a list of older files is never too young
    written = {
        each.key.removeprefix(prefix): each.written
        for each in store.list_objects(store.settings.logs_bucket, prefix)
    }
    merged = {each.name for each in index.merged}
    if missing := merged - written.keys():
        raise LogDamagedError(
            f"s3://{store.settings.logs_bucket}/{prefix}{min(missing)} is missing: restore it from "
            f"a backup or an earlier version of the object, or delete {HourIndex.file_name} there "
            "if no file of the hour was deleted"
        )
    old = {name for name, time in written.items() if now - time > GRACE}
    orphans = {name for name in old - merged if name.startswith(MERGED_FOLDER)}
    replaced = written.keys() & set(index.replaced) if HourIndex.file_name in old else set()
    return [prefix + name for name in sorted(orphans | replaced)]
