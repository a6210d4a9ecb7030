"""Documents about windows."""

from datetime import timedelta

from skyclass.monitoring.documents import load_documents, save_document
from skyclass.monitoring.verdict import DriftVerdict, Verdict
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.monitoring import END, make_daily_verdict


class ExpiringStore(ObjectStore):
    """Deletes the first object that is read, as maintenance does after the object was listed."""

    has_deleted = False

    def get(self, bucket: str, key: str, max_bytes: int | None = None) -> bytes:
        if not self.has_deleted:
            self.delete(bucket, [key])
            self.has_deleted = True
        return super().get(bucket, key, max_bytes)


def test_a_document_that_expires_after_it_was_listed_is_skipped(store: ObjectStore) -> None:
    ends = [END, END + timedelta(days=1)]
    for end in ends:
        save_document(store, make_daily_verdict(Verdict.NO_DRIFT, "a" * 64, end))
    verdicts = load_documents(ExpiringStore(store.settings), DriftVerdict, Mode.SPECTROSCOPIC)
    assert [verdict.window_end for verdict in verdicts] == ends[1:]
