"""The S3 client: whole objects, bounded waits, and every failure in one clear line."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from skyclass.errors import StoreError
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectMissingError, ObjectStore, split_uri
from skyclass.tables.observations import ObservationsTable
from tests.support.web import Response, Web

BYTES = "application/octet-stream"
CALLS: dict[str, Callable[[ObjectStore, str, Path], Any]] = {
    "put": lambda store, bucket, folder: store.put(bucket, "key", b"data", BYTES),
    "get": lambda store, bucket, folder: store.get(bucket, "key"),
    "download": lambda store, bucket, folder: store.download(bucket, "key", folder / "file"),
    "keys": lambda store, bucket, folder: list(store.list_keys(bucket, "")),
    "folders": lambda store, bucket, folder: list(store.list_prefixes(bucket, "")),
    "make buckets": lambda store, bucket, folder: store.make_buckets(),
    "table": lambda store, bucket, folder: ObservationsTable(store.settings).watermark("source"),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


def impatient(settings: Settings, **changes: Any) -> ObjectStore:
    """A client whose every call ends within (1 + 1) x (0.3 + 0.3) s and one short pause."""
    fast = {"s3_retries": 1, "s3_connect_seconds": 0.3, "s3_read_seconds": 0.3}
    return ObjectStore(settings.model_copy(update=fast | changes))


def test_an_object_comes_back_as_it_was_put(store: ObjectStore) -> None:
    for data in (b"", b"data", b"other data"):
        store.put(store.settings.data_bucket, "a/key", data, BYTES)
        assert store.get(store.settings.data_bucket, "a/key") == data


def test_an_object_larger_than_a_multipart_piece_comes_back_whole(
    store: ObjectStore, tmp_path: Path
) -> None:
    data = os.urandom(6 * 2**20 + 1)
    store.put(store.settings.data_bucket, "large", data, BYTES)
    store.download(store.settings.data_bucket, "large", tmp_path / "large")
    assert store.get(store.settings.data_bucket, "large") == data
    assert (tmp_path / "large").read_bytes() == data


def test_keys_are_listed_in_order_and_folders_one_level_deep(store: ObjectStore) -> None:
    for key in ("b/2", "a/1", "b/c/3", "top"):
        store.put(store.settings.data_bucket, key, b"", BYTES)
    assert list(store.list_keys(store.settings.data_bucket, "")) == ["a/1", "b/2", "b/c/3", "top"]
    assert list(store.list_keys(store.settings.data_bucket, "b/")) == ["b/2", "b/c/3"]
    assert list(store.list_prefixes(store.settings.data_bucket, "")) == ["a/", "b/"]
    assert list(store.list_prefixes(store.settings.data_bucket, "b/")) == ["b/c/"]


def test_make_buckets_is_idempotent(store: ObjectStore) -> None:
    store.put(store.settings.data_bucket, "key", b"data", BYTES)
    store.make_buckets()
    assert store.get(store.settings.data_bucket, "key") == b"data"


def test_a_missing_object_is_told_from_other_failures(store: ObjectStore, tmp_path: Path) -> None:
    where = f"s3://{store.settings.data_bucket}/nowhere: no such object"
    with pytest.raises(ObjectMissingError, match=where):
        store.get(store.settings.data_bucket, "nowhere")
    with pytest.raises(ObjectMissingError, match=where):
        store.download(store.settings.data_bucket, "nowhere", tmp_path / "file")


@pytest.mark.parametrize("call", ["get", "keys", "folders"])
def test_a_missing_bucket_is_named_with_its_setting(
    call: str, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match=r"^s3://no-such-bucket/.*SKYCLASS_\*_BUCKET"):
        CALLS[call](ObjectStore(settings), "no-such-bucket", tmp_path)


def test_a_table_in_a_missing_bucket_names_the_setting(settings: Settings) -> None:
    with pytest.raises(StoreError, match=r"the bucket does not exist.*SKYCLASS_\*_BUCKET"):
        ObservationsTable(settings).watermark("source")


@every_call
@pytest.mark.parametrize(
    "wrong", [{"secret_access_key": SecretStr("wrong")}, {"access_key_id": "nobody"}], ids=str
)
def test_wrong_credentials_name_their_variables(
    call: Callable[..., Any], wrong: dict[str, Any], store: ObjectStore, tmp_path: Path
) -> None:
    refused = impatient(store.settings, **wrong)
    with pytest.raises(
        StoreError, match=r"s3://.*: access denied .*AWS_SECRET_ACCESS_KEY"
    ) as error:
        call(refused, refused.settings.data_bucket, tmp_path)
    assert "\n" not in str(error.value)
    assert "wrong" not in str(error.value)


@every_call
def test_a_server_that_is_down_is_one_error_at_once(
    call: Callable[..., Any], no_server: str, settings: Settings, tmp_path: Path
) -> None:
    started = time.monotonic()
    with pytest.raises(StoreError, match=f"{no_server} is unreachable .*`skyclass s3`") as error:
        call(impatient(settings, endpoint_url=no_server), "bucket", tmp_path)
    assert time.monotonic() - started < 3
    assert "\n" not in str(error.value)


@every_call
def test_a_server_that_never_answers_times_out_in_time(
    call: Callable[..., Any], silent_server: str, settings: Settings, tmp_path: Path
) -> None:
    started = time.monotonic()
    with pytest.raises(StoreError, match=f"{silent_server} is unreachable"):
        call(impatient(settings, endpoint_url=silent_server), "bucket", tmp_path)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "localhost:9000",
        "ftp://host:9000",
        "http://",
        "http:// host",
        "http://[::1",
        "http://host:port",
        "http://host:99999",
        "http://host:9000/path",
        "http://user:password@host:9000",
    ],
)
def test_a_malformed_endpoint_is_rejected_before_anything_is_contacted(
    endpoint: str, settings: Settings
) -> None:
    with pytest.raises(StoreError, match="AWS_ENDPOINT_URL is malformed"):
        impatient(settings, endpoint_url=endpoint)


def test_an_endpoint_may_end_in_a_slash(store: ObjectStore) -> None:
    slashed = impatient(store.settings, endpoint_url=f"{store.settings.endpoint_url}/")
    assert list(slashed.list_keys(store.settings.data_bucket, "")) == []


@pytest.mark.parametrize(
    ("bucket", "key"), [("B", "key"), ("a..b", "key"), ("bucket", "")], ids=str
)
def test_an_impossible_name_is_one_error(bucket: str, key: str, settings: Settings) -> None:
    with pytest.raises(StoreError, match=f"s3://{bucket}/{key} is not an object URI"):
        ObjectStore(settings).get(bucket, key)


BUSY = Response(status=503, headers={"Retry-After": "3600"})


def test_busy_server_is_retried_regardless_of_retry_after(web: Web, settings: Settings) -> None:
    web.responses = [BUSY, BUSY, Response(b"data", headers={"ETag": '"1"'})]
    store = impatient(settings, endpoint_url=web.url, s3_retries=2)
    started = time.monotonic()
    assert store.get("bucket", "key") == b"data"
    assert web.requests == ["GET /bucket/key"] * 3
    assert time.monotonic() - started < 3


def test_a_write_is_retried_with_the_same_bytes(web: Web, settings: Settings) -> None:
    web.responses = [BUSY, Response(headers={"ETag": '"1"'})]
    impatient(settings, endpoint_url=web.url).put("bucket", "key", b"data", BYTES)
    assert web.requests == ["PUT /bucket/key"] * 2
    assert web.bodies == [b"data"] * 2


def test_a_server_that_stays_busy_is_an_error(web: Web, settings: Settings) -> None:
    web.responses = [BUSY]
    with pytest.raises(StoreError, match="is unreachable"):
        impatient(settings, endpoint_url=web.url).get("bucket", "key")
    assert len(web.requests) == 2


def test_a_truncated_response_is_never_taken_for_the_object(web: Web, settings: Settings) -> None:
    web.responses = [Response(b"half", length=8)]
    with pytest.raises(StoreError, match="is unreachable"):
        impatient(settings, endpoint_url=web.url).get("bucket", "key")


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("s3://bucket/key", ("bucket", "key")),
        ("s3://bucket/a/b.csv", ("bucket", "a/b.csv")),
        ("s3://bucket/what?#1.csv", ("bucket", "what?#1.csv")),
        ("s3://bucket", ("bucket", "")),
    ],
)
def test_an_address_names_bucket_and_key(uri: str, parts: tuple[str, str]) -> None:
    assert split_uri(uri) == parts


@pytest.mark.parametrize("uri", ["s3:///key", "http://bucket/key", "bucket/key", "s3:bucket/key"])
def test_another_address_is_rejected(uri: str) -> None:
    with pytest.raises(StoreError, match=f"{uri} is not an S3 URI"):
        split_uri(uri)
