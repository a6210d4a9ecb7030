"""Which hours of the prediction log need maintenance."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby

from skyclass.storage.s3 import ObjectStore
from skyclass.tables.log.layout import HourIndex

LATENESS = timedelta(minutes=10)
"""Time after its end at which an hour is merged; files that arrive later are merged later."""

_SETTLED = timedelta(days=7)
"""Age at which an hour with merged files only needs no more maintenance."""

_HOUR = re.compile(r"(date=\d{4}-\d\d-\d\d/hour=\d\d/)(.+)")


def find_hours(store: ObjectStore, now: datetime) -> Iterator[datetime]:
    """Yield the hours that have ended and have files to merge or to delete, oldest first.

    Raises:
        StoreError: The log cannot be listed.
    """
    objects = (
        (match[1], match[2], each.written)
        for each in store.list_objects(store.settings.logs_bucket, "date=")
        if (match := _HOUR.fullmatch(each.key))
    )
    for prefix, in_hour in groupby(objects, key=lambda each: each[0]):
        hour = datetime.strptime(prefix, "date=%Y-%m-%d/hour=%H/").replace(tzinfo=UTC)
        if hour + timedelta(hours=1) + LATENESS > now:
            continue
        files = [(name, time) for _, name, time in in_hour]
        has_new = any("/" not in name and name != HourIndex.file_name for name, _ in files)
        if has_new or now - max(time for _, time in files) < _SETTLED:
            yield hour
