"""Small objects: read completely, and the same errors as of the S3 client."""

import pytest
from pydantic import SecretStr

from skyclass.errors import StoreError
from skyclass.local.ports import find_free_ports
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectMissingError, ObjectStore
from skyclass.storage.small_files import SmallFiles
from tests.support.web import Response, serve

KEY = "date=2026-05-01/hour=00/a b#é.parquet"


def connect(store: ObjectStore, **changes: object) -> SmallFiles:
    settings: Settings = store.settings.model_copy(update={"s3_retries": 0, **changes})
    return SmallFiles(settings, settings.data_bucket, {KEY: 4, "missing": 4})


@pytest.fixture
def stored(store: ObjectStore) -> ObjectStore:
    store.put(store.settings.data_bucket, KEY, b"data", "application/octet-stream")
    return store


def test_object_is_read(stored: ObjectStore) -> None:
    assert connect(stored).read(KEY) == b"data"


def test_object_of_unknown_size_is_read(stored: ObjectStore) -> None:
    assert SmallFiles(stored.settings, stored.settings.data_bucket, {}).read(KEY) == b"data"


def test_missing_object_is_an_error(stored: ObjectStore) -> None:
    with pytest.raises(ObjectMissingError, match=r"s3://.*-data/missing: no such object"):
        connect(stored).read("missing")


def test_denied_access_is_an_error(stored: ObjectStore) -> None:
    with pytest.raises(StoreError, match="access denied"):
        connect(stored, secret_access_key=SecretStr("wrong")).read(KEY)


def test_unreachable_store_is_an_error(stored: ObjectStore) -> None:
    (port,) = find_free_ports(1)
    with pytest.raises(StoreError, match="is unreachable"):
        connect(stored, endpoint_url=f"http://127.0.0.1:{port}").read(KEY)


def test_missing_object_is_an_error_without_a_code(stored: ObjectStore) -> None:
    with serve(Response(status=404)) as web, pytest.raises(ObjectMissingError):
        connect(stored, endpoint_url=web.url).read("missing")
