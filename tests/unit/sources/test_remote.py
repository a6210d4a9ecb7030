"""Remote files are downloaded completely or not at all."""

from pathlib import Path

import pytest

from skyclass.errors import CatalogError, StoreError
from skyclass.settings import Settings
from skyclass.sources import open_source, remote
from skyclass.sources.remote import fetch
from skyclass.storage.s3 import ObjectStore
from tests.support.rows import frame
from tests.support.web import Response, Web

BUSY = Response(status=503, headers={"Retry-After": "3600"})


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the timeouts and keep the number of retries."""
    monkeypatch.setattr(remote, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(remote, "READ_SECONDS", 0.1)
    monkeypatch.setattr(remote, "BACKOFF_SECONDS", 0.01)


@pytest.fixture
def unused_store(settings: Settings) -> ObjectStore:
    """An object store that receives no request."""
    return ObjectStore(settings)


def test_a_web_file_is_downloaded_to_the_home_folder(web: Web, unused_store: ObjectStore) -> None:
    web.responses = [Response(b"rows")]
    path = fetch(f"{web.url}/folder/a.csv?release=17", unused_store)
    assert path.read_bytes() == b"rows"
    assert path.suffix == ".csv"
    assert path.is_relative_to(unused_store.settings.home)


def test_an_object_is_downloaded_with_its_suffix(store: ObjectStore) -> None:
    store.put(store.settings.data_bucket, "in/a.parquet", b"rows", "application/octet-stream")
    path = fetch(f"s3://{store.settings.data_bucket}/in/a.parquet", store)
    assert (path.read_bytes(), path.suffix) == (b"rows", ".parquet")


def test_urls_with_equal_file_names_have_separate_copies(
    web: Web, unused_store: ObjectStore
) -> None:
    web.responses = [Response(b"one"), Response(b"two")]
    first, second = (fetch(f"{web.url}/{folder}/a.csv", unused_store) for folder in ("one", "two"))
    assert (first.read_bytes(), second.read_bytes()) == (b"one", b"two")


@pytest.mark.parametrize("status", [403, 404, 410])
def test_an_http_error_is_reported_on_one_line(
    status: int, web: Web, unused_store: ObjectStore
) -> None:
    web.responses = [Response(b"<html>Forbidden</html>", status=status)]
    with pytest.raises(CatalogError) as error:
        fetch(f"{web.url}/a.csv", unused_store)
    assert str(error.value) == f"{web.url}/a.csv: HTTP status {status}: check the URL"


def test_busy_server_is_retried_regardless_of_retry_after(
    web: Web, unused_store: ObjectStore
) -> None:
    web.responses = [BUSY, BUSY, Response(b"rows")]
    assert fetch(f"{web.url}/a.csv", unused_store).read_bytes() == b"rows"


def test_a_truncated_response_keeps_the_previous_copy(web: Web, unused_store: ObjectStore) -> None:
    web.responses = [Response(b"complete"), Response(b"half", length=8)]
    path = fetch(f"{web.url}/a.csv", unused_store)
    with pytest.raises(CatalogError, match="is unreachable"):
        fetch(f"{web.url}/a.csv", unused_store)
    assert path.read_bytes() == b"complete"


def test_an_unreachable_server_is_reported_with_its_url(
    unreachable_url: str, unused_store: ObjectStore
) -> None:
    with pytest.raises(
        CatalogError, match=rf"^{unreachable_url}/a\.csv: the web server is unreachable"
    ):
        fetch(f"{unreachable_url}/a.csv", unused_store)


def test_an_unresponsive_server_times_out(unresponsive_url: str, unused_store: ObjectStore) -> None:
    with pytest.raises(CatalogError, match="the web server is unreachable"):
        fetch(f"{unresponsive_url}/a.csv", unused_store)


@pytest.mark.parametrize("uri", ["http://[::1/a.csv", "http://", "http://host:port/a.csv"])
def test_a_malformed_url_is_an_error(uri: str, unused_store: ObjectStore) -> None:
    with pytest.raises(CatalogError, match="the URL is malformed: correct its host"):
        fetch(uri, unused_store)


@pytest.mark.parametrize("key", ["nowhere.csv", ""])
def test_a_missing_object_is_an_error(key: str, store: ObjectStore) -> None:
    with pytest.raises(StoreError, match=f"s3://{store.settings.data_bucket}/{key}"):
        fetch(f"s3://{store.settings.data_bucket}/{key}", store)


def test_a_failed_download_leaves_no_file(web: Web, unused_store: ObjectStore) -> None:
    with pytest.raises(CatalogError):
        fetch(f"{web.url}/a.csv", unused_store)
    files = [path for path in Path(unused_store.settings.home).rglob("*.csv") if path.is_file()]
    assert files == []


def test_the_url_of_a_remote_file_is_the_name_of_its_source(web: Web, store: ObjectStore) -> None:
    data = frame({}).to_csv(index=False).encode()
    web.responses = [Response(data)]
    store.put(store.settings.data_bucket, "a.csv", data, "text/csv")
    for uri in (f"{web.url}/a.csv", f"s3://{store.settings.data_bucket}/a.csv"):
        source = open_source(uri, store)
        assert source.name == uri
        assert next(source.read_batches(0)).rows.num_rows == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://vera:hunter2@example.org/a.csv",
        "https://hunter2@example.org/a.csv",
        "https://example.org/a.csv?release=17&X-Amz-Signature=hunter2",
        "https://example.org/a.csv?sig=hunter2",
        "https://example.org/a.csv?Token=hunter2#hdu=2",
        "https://example.org/a.csv?private_token=hunter2",
    ],
)
def test_a_url_with_credentials_is_rejected_without_repeating_them(
    url: str, unused_store: ObjectStore
) -> None:
    with pytest.raises(
        CatalogError, match=r"^https://example\.org/a\.csv: the URL contains"
    ) as error:
        open_source(url, unused_store)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("host", ["example.org:99999", "[::1", ""])
def test_a_malformed_url_does_not_repeat_its_credentials(
    host: str, unused_store: ObjectStore
) -> None:
    with pytest.raises(CatalogError, match="the URL is malformed") as error:
        open_source(f"https://vera:hunter2@{host}/a.csv?token=hunter2", unused_store)
    assert "hunter2" not in str(error.value)
