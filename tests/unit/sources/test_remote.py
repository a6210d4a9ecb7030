"""Remote files arrive whole or not at all."""

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
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the timeouts and keep the number of retries."""
    monkeypatch.setattr(remote, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(remote, "READ_SECONDS", 0.1)
    monkeypatch.setattr(remote, "BACKOFF_SECONDS", 0.01)


@pytest.fixture
def idle(settings: Settings) -> ObjectStore:
    """An object store that receives no request."""
    return ObjectStore(settings)


def test_a_file_of_the_web_arrives_below_the_home_folder(web: Web, idle: ObjectStore) -> None:
    web.responses = [Response(b"rows")]
    path = fetch(f"{web.url}/folder/a.csv?release=17", idle)
    assert path.read_bytes() == b"rows"
    assert path.suffix == ".csv"
    assert path.is_relative_to(idle.settings.home)


def test_an_object_arrives_with_its_suffix(store: ObjectStore) -> None:
    store.put(store.settings.data_bucket, "in/a.parquet", b"rows", "application/octet-stream")
    path = fetch(f"s3://{store.settings.data_bucket}/in/a.parquet", store)
    assert (path.read_bytes(), path.suffix) == (b"rows", ".parquet")


def test_two_addresses_are_two_files(web: Web, idle: ObjectStore) -> None:
    web.responses = [Response(b"one"), Response(b"two")]
    one, two = (fetch(f"{web.url}/{folder}/a.csv", idle) for folder in ("one", "two"))
    assert (one.read_bytes(), two.read_bytes()) == (b"one", b"two")


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_of_the_web_server_is_one_line(status: int, web: Web, idle: ObjectStore) -> None:
    web.responses = [Response(b"<html>no</html>", status=status)]
    with pytest.raises(CatalogError) as error:
        fetch(f"{web.url}/a.csv", idle)
    assert str(error.value) == f"{web.url}/a.csv: HTTP status {status}: check the URL"


def test_busy_server_is_retried_regardless_of_retry_after(web: Web, idle: ObjectStore) -> None:
    web.responses = [BUSY, BUSY, Response(b"rows")]
    assert fetch(f"{web.url}/a.csv", idle).read_bytes() == b"rows"


def test_a_truncated_response_leaves_the_former_copy_in_place(web: Web, idle: ObjectStore) -> None:
    web.responses = [Response(b"whole"), Response(b"half", length=8)]
    path = fetch(f"{web.url}/a.csv", idle)
    with pytest.raises(CatalogError, match="is unreachable"):
        fetch(f"{web.url}/a.csv", idle)
    assert path.read_bytes() == b"whole"


def test_no_server_is_one_error(no_server: str, idle: ObjectStore) -> None:
    with pytest.raises(CatalogError, match=rf"^{no_server}/a\.csv: the web server is unreachable"):
        fetch(f"{no_server}/a.csv", idle)


def test_a_server_that_never_answers_times_out(silent_server: str, idle: ObjectStore) -> None:
    with pytest.raises(CatalogError, match="the web server is unreachable"):
        fetch(f"{silent_server}/a.csv", idle)


@pytest.mark.parametrize("uri", ["http://[::1/a.csv", "http://", "http://host:port/a.csv"])
def test_a_malformed_address_is_one_error(uri: str, idle: ObjectStore) -> None:
    with pytest.raises(CatalogError, match="the web server is unreachable"):
        fetch(uri, idle)


@pytest.mark.parametrize("key", ["nowhere.csv", ""])
def test_an_object_that_is_not_there_is_one_error(key: str, store: ObjectStore) -> None:
    with pytest.raises(StoreError, match=f"s3://{store.settings.data_bucket}/{key}"):
        fetch(f"s3://{store.settings.data_bucket}/{key}", store)


def test_a_failed_download_leaves_no_file(web: Web, idle: ObjectStore) -> None:
    with pytest.raises(CatalogError):
        fetch(f"{web.url}/a.csv", idle)
    files = [path for path in Path(idle.settings.home).rglob("*.csv") if path.is_file()]
    assert files == []


def test_remote_file_is_a_source_under_its_url(web: Web, store: ObjectStore) -> None:
    data = frame({}).to_csv(index=False).encode()
    web.responses = [Response(data)]
    store.put(store.settings.data_bucket, "a.csv", data, "text/csv")
    for uri in (f"{web.url}/a.csv", f"s3://{store.settings.data_bucket}/a.csv"):
        source = open_source(uri, store)
        assert source.name == uri
        assert next(source.read_batches(0)).rows.num_rows == 1
