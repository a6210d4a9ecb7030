"""The promotion events in the models bucket: an append-only log for each mode.

An event is the object `promotions/<mode>/<time>-<id of the new champion>.json`, so the order of the
keys is the order of the events.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from skyclass.registry.documents import StoredDocument, parse_document
from skyclass.storage.formats import Format
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode

PROMOTIONS_PREFIX = "promotions"


class Promotion(StoredDocument):
    """An event: one release replaced another as champion.

    Attributes:
        mode: The mode whose champion changed.
        from_release: Id of the previous champion; None for the first of its mode.
        to_release: Id of the new champion.
        reason: Why it was promoted.
        run_id: The pipeline run or person that promoted it.
        time: When (UTC).
        approved_by: Who approved the release, if it needed an approval.
    """

    stored_format = Format("promotion event", "0.2.0")

    mode: Mode
    from_release: str | None
    to_release: str
    reason: str
    run_id: str
    time: datetime
    approved_by: str | None = None


class PromotionLog:
    """Reads and appends promotion events."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._bucket = store.settings.models_bucket

    def list_promotions(self, mode: Mode) -> list[Promotion]:
        """Return all promotions of a mode, oldest first, each from the release of the one before.

        Two processes that promote at the same time both record the champion that they replaced,
        which is the same; the order of the events decides what the second has replaced.

        Raises:
            ReleaseError: An event is malformed.
        """
        recorded = [self._read(key) for key in self._list_keys(mode)]
        later = [
            event.model_copy(update={"from_release": before.to_release})
            for before, event in pairwise(recorded)
        ]
        return [*recorded[:1], *later]

    def get_newest(self, mode: Mode) -> Promotion | None:
        """Return the newest promotion of a mode, or None.

        Raises:
            ReleaseError: The event is malformed.
        """
        keys = self._list_keys(mode)
        return self._read(keys[-1]) if keys else None

    def append(
        self,
        mode: Mode,
        from_release: str | None,
        to_release: str,
        reason: str,
        run_id: str,
        approved_by: str | None = None,
    ) -> Promotion:
        """Write an event that is newer than all others of its mode, and return it."""
        newest = self.get_newest(mode)
        time = datetime.now(UTC)
        if newest:  # the clock of the machine that wrote the newest event may have been ahead
            time = max(time, newest.time + timedelta(microseconds=1))
        event = Promotion(
            mode=mode,
            from_release=from_release,
            to_release=to_release,
            reason=reason,
            run_id=run_id,
            time=time,
            approved_by=approved_by,
        )
        key = f"{PROMOTIONS_PREFIX}/{mode}/{time:%Y%m%dT%H%M%S.%fZ}-{to_release}.json"
        self._store.put(self._bucket, key, event.to_bytes(), "application/json")
        return event

    def _list_keys(self, mode: Mode) -> list[str]:
        return list(self._store.list_keys(self._bucket, f"{PROMOTIONS_PREFIX}/{mode}/"))

    def _read(self, key: str) -> Promotion:
        return parse_document(Promotion, self._store.get(self._bucket, key), key)
