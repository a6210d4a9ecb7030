"""The S3 client: complete objects, timeouts, retries, and error messages of one line."""

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
    "prefixes": lambda store, bucket, folder: list(store.list_prefixes(bucket, "")),
    "make buckets": lambda store, bucket, folder: store.make_buckets(),
    "table": lambda store, bucket, folder: ObservationsTable(store.settings).watermark("source"),
}
DEFAULT_SECONDS = Settings.model_fields["s3_read_seconds"].default
"""Calls with short timeouts end before one with the default would, however slow the machine is."""
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


def connect_with_short_timeouts(settings: Settings, **changes: Any) -> ObjectStore:
    """Return a client whose calls end within (1 + 1) x (0.3 + 0.3) s plus the backoff."""
    timeouts = {"s3_retries": 1, "s3_connect_seconds": 0.3, "s3_read_seconds": 0.3}
    return ObjectStore(settings.model_copy(update=timeouts | changes))


def test_get_returns_what_was_put(store: ObjectStore) -> None:
    for data in (b"", b"data", b"other data"):
        store.put(store.settings.data_bucket, "a/key", data, BYTES)
        assert store.get(store.settings.data_bucket, "a/key") == data


def test_an_object_larger_than_a_multipart_part_is_complete(
    store: ObjectStore, tmp_path: Path
) -> None:
    data = os.urandom(6 * 2**20 + 1)
    store.put(store.settings.data_bucket, "large", data, BYTES)
    store.download(store.settings.data_bucket, "large", tmp_path / "large")
    assert store.get(store.settings.data_bucket, "large") == data
    assert (tmp_path / "large").read_bytes() == data


def test_keys_are_listed_in_order_and_prefixes_one_level_deep(store: ObjectStore) -> None:
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


def test_a_missing_object_has_an_error_class_of_its_own(store: ObjectStore, tmp_path: Path) -> None:
    message = f"s3://{store.settings.data_bucket}/nowhere: no such object"
    with pytest.raises(ObjectMissingError, match=message):
        store.get(store.settings.data_bucket, "nowhere")
    with pytest.raises(ObjectMissingError, match=message):
        store.download(store.settings.data_bucket, "nowhere", tmp_path / "file")


@pytest.mark.parametrize("call", ["get", "keys", "prefixes"])
def test_a_missing_bucket_is_reported_with_its_setting(
    call: str, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match=r"^s3://no-such-bucket/.*SKYCLASS_\*_BUCKET"):
        CALLS[call](ObjectStore(settings), "no-such-bucket", tmp_path)


def test_a_table_in_a_missing_bucket_is_reported_with_the_setting(settings: Settings) -> None:
    with pytest.raises(StoreError, match=r"the bucket does not exist.*SKYCLASS_\*_BUCKET"):
        ObservationsTable(settings).watermark("source")


@every_call
@pytest.mark.parametrize(
    "wrong", [{"secret_access_key": SecretStr("wrong")}, {"access_key_id": "nobody"}], ids=str
)
def test_wrong_credentials_are_reported_with_their_variables(
    call: Callable[..., Any], wrong: dict[str, Any], store: ObjectStore, tmp_path: Path
) -> None:
    denied = connect_with_short_timeouts(store.settings, **wrong)
    with pytest.raises(
        StoreError, match=r"s3://.*: access denied .*AWS_SECRET_ACCESS_KEY"
    ) as error:
        call(denied, denied.settings.data_bucket, tmp_path)
    assert "\n" not in str(error.value)
    assert "wrong" not in str(error.value)


@every_call
def test_an_unreachable_server_is_reported_within_seconds(
    call: Callable[..., Any], unreachable_url: str, settings: Settings, tmp_path: Path
) -> None:
    started = time.monotonic()
    with pytest.raises(
        StoreError, match=f"{unreachable_url} is unreachable .*`skyclass s3`"
    ) as error:
        call(
            connect_with_short_timeouts(settings, endpoint_url=unreachable_url), "bucket", tmp_path
        )
    assert time.monotonic() - started < DEFAULT_SECONDS
    assert "\n" not in str(error.value)


@every_call
def test_an_unresponsive_server_times_out(
    call: Callable[..., Any], unresponsive_url: str, settings: Settings, tmp_path: Path
) -> None:
    started = time.monotonic()
    with pytest.raises(StoreError, match=f"{unresponsive_url} is unreachable"):
        call(
            connect_with_short_timeouts(settings, endpoint_url=unresponsive_url), "bucket", tmp_path
        )
    assert time.monotonic() - started < DEFAULT_SECONDS


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
def test_a_malformed_endpoint_is_rejected_before_the_first_request(
    endpoint: str, settings: Settings
) -> None:
    with pytest.raises(StoreError, match="AWS_ENDPOINT_URL is malformed"):
        connect_with_short_timeouts(settings, endpoint_url=endpoint)


def test_an_endpoint_may_end_in_a_slash(store: ObjectStore) -> None:
    store_with_slash = connect_with_short_timeouts(
        store.settings, endpoint_url=f"{store.settings.endpoint_url}/"
    )
    assert list(store_with_slash.list_keys(store.settings.data_bucket, "")) == []


@pytest.mark.parametrize(
    ("bucket", "key"), [("B", "key"), ("a..b", "key"), ("bucket", "")], ids=str
)
def test_an_invalid_bucket_or_key_is_rejected(bucket: str, key: str, settings: Settings) -> None:
    with pytest.raises(StoreError, match=f"s3://{bucket}/{key} is not an object URI"):
        ObjectStore(settings).get(bucket, key)


BUSY = Response(status=503, headers={"Retry-After": "3600"})


def test_busy_server_is_retried_regardless_of_retry_after(web: Web, settings: Settings) -> None:
    web.responses = [BUSY, BUSY, Response(b"data", headers={"ETag": '"1"'})]
    store = connect_with_short_timeouts(settings, endpoint_url=web.url, s3_retries=2)
    started = time.monotonic()
    assert store.get("bucket", "key") == b"data"
    assert web.requests == ["GET /bucket/key"] * 3
    assert time.monotonic() - started < DEFAULT_SECONDS


def test_a_write_is_retried_with_the_same_bytes(web: Web, settings: Settings) -> None:
    web.responses = [BUSY, Response(headers={"ETag": '"1"'})]
    connect_with_short_timeouts(settings, endpoint_url=web.url).put("bucket", "key", b"data", BYTES)
    assert web.requests == ["PUT /bucket/key"] * 2
    assert web.bodies == [b"data"] * 2


def test_a_server_that_is_busy_after_all_retries_is_an_error(web: Web, settings: Settings) -> None:
    web.responses = [BUSY]
    with pytest.raises(StoreError, match="is unreachable"):
        connect_with_short_timeouts(settings, endpoint_url=web.url).get("bucket", "key")
    assert len(web.requests) == 2


def test_a_truncated_response_is_an_error(web: Web, settings: Settings) -> None:
    web.responses = [Response(b"half", length=8)]
    with pytest.raises(StoreError, match="is unreachable"):
        connect_with_short_timeouts(settings, endpoint_url=web.url).get("bucket", "key")


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("s3://bucket/key", ("bucket", "key")),
        ("s3://bucket/a/b.csv", ("bucket", "a/b.csv")),
        ("s3://bucket/what?#1.csv", ("bucket", "what?#1.csv")),
        ("s3://bucket", ("bucket", "")),
    ],
)
def test_a_uri_is_split_into_bucket_and_key(uri: str, parts: tuple[str, str]) -> None:
    assert split_uri(uri) == parts


@pytest.mark.parametrize("uri", ["s3:///key", "http://bucket/key", "bucket/key", "s3:bucket/key"])
def test_a_uri_of_another_form_is_rejected(uri: str) -> None:
    with pytest.raises(StoreError, match=f"{uri} is not an S3 URI"):
        split_uri(uri)
