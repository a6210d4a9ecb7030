"""The SkyServer source: rate limit, cache, retries, paging, and error messages of one line."""

import itertools
import json
import time
from collections.abc import Callable

import pytest

from skyclass.errors import CatalogError
from skyclass.ingest.accounting import Accounting
from skyclass.ingest.job import ingest
from skyclass.settings import Settings
from skyclass.sources import open_source
from skyclass.sources.skyserver import client
from skyclass.sources.skyserver import source as skyserver
from skyclass.sources.skyserver.client import SkyServerClient
from skyclass.storage.s3 import ObjectStore
from skyclass.tables.observations import ObservationsTable
from tests.support.rows import OPTIONAL
from tests.support.skyserver import HEADER, Survey, make_spectra
from tests.support.web import Response, Web

KEYS = [(plate, 51_600 + plate, fibre) for plate in (300, 301, 700, 12_000) for fibre in (1, 2, 9)]
"""Plate, night and fibre of the spectra. Ids of the last plate exceed signed 64-bit numbers."""
QUERY = "SELECT TOP 5 s.plate FROM SpecObj AS s"
TABLE = Response(f"{HEADER}plate\n300\n301\n".encode())
EMPTY = Response(f"{HEADER}plate\n".encode())
BUSY = Response(b'error_message\n"Maximum 60 queries allowed per minute.\nTry later, please."\n')
MAINTENANCE = Response(b"<!DOCTYPE html><html><head><title>Down\n today</title></head></html>")
TEMPORARY = {
    "throttled": (BUSY, "the error: Maximum 60 queries allowed per minute. Try later, please."),
    "maintenance": (MAINTENANCE, r"status 200 and a web page \(Down today\)"),
    "overload": (Response(b'{"ErrorMessage": "no"}', status=503), "status 503: no"),
    "too many": (Response(b"slow down", status=429), "status 429: slow down"),
    "JSON with status 200": (Response(b'{"ErrorMessage": "no"}'), "status 200: no"),
    "truncated body": (Response(TABLE.body, length=99), r"no response \("),
    "dropped connection": (Response(status=0), r"no response \("),
    "truncated row": (Response(b"a,b\n1,2\n3"), "a truncated table"),
    "truncated line": (Response(b"a,b\n1,2\n3,4.5"), "a truncated table"),
    "empty body": (Response(b""), "a truncated table"),
}
"""Responses after which a query is retried, and how the error describes them."""
PERMANENT = {
    "bad SQL": (
        Response(json.dumps({"ErrorCode": 400, "ErrorMessage": "Bad\nSQL"}).encode(), status=400),
        "status 400: Bad SQL",
    ),
    "URL too long": (Response(b"<html></html>", status=414), "status 414 and a web page"),
    "no such release": (Response(b"", status=404), "status 404: no message"),
}
"""Responses after which a query is not retried, and how the error describes them."""


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the timeouts and keep the number of retries."""
    monkeypatch.setattr(client, "MIN_INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(client, "BACKOFF_SECONDS", (0.0, 0.0, 0.0, 0.0))
    monkeypatch.setattr(client, "CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(client, "READ_SECONDS", 0.5)


@pytest.fixture
def skyserver_client(web: Web, store: ObjectStore) -> SkyServerClient:
    """A client of the scripted web server."""
    settings = store.settings.model_copy(
        update={"skyserver_url": web.url, "skyserver_contact": "me@example.org"}
    )
    return SkyServerClient(ObjectStore(settings))


@pytest.fixture
def ingest_uri(
    skyserver_client: SkyServerClient, table: ObservationsTable
) -> Callable[[str], Accounting]:
    """A function that ingests a source of the scripted web server."""

    def ingest_uri(uri: str) -> Accounting:
        source = open_source(uri, skyserver_client.store)
        accounting = ingest(source, table, skyserver_client.store)
        assert accounting.is_balanced
        return accounting

    return ingest_uri


def read_keys(table: ObservationsTable) -> list[tuple[int, int, int]]:
    rows = table.read(table.version(), ["plate", "mjd", "fiber_id"])
    return sorted(map(tuple, rows.to_numpy().tolist()))


@pytest.mark.parametrize(("response", "description"), TEMPORARY.values(), ids=TEMPORARY.keys())
def test_temporary_error_is_retried_then_raised(
    response: Response, description: str, web: Web, skyserver_client: SkyServerClient
) -> None:
    web.responses = [response, response, TABLE]
    assert skyserver_client.query("DR17", QUERY) == TABLE.body
    web.responses, requests = [response], len(web.requests)
    with pytest.raises(
        CatalogError, match=rf"{description}.*: try again later; committed rows are kept"
    ) as error:
        skyserver_client.query("DR16", QUERY)
    assert "\n" not in str(error.value)
    assert len(web.requests) == requests + 1 + len(client.BACKOFF_SECONDS)
    assert not list(
        skyserver_client.store.list_keys(
            skyserver_client.store.settings.data_bucket, "skyserver/dr16"
        )
    )


@pytest.mark.parametrize(("response", "description"), PERMANENT.values(), ids=PERMANENT.keys())
def test_permanent_error_is_raised_at_once(
    response: Response, description: str, web: Web, skyserver_client: SkyServerClient
) -> None:
    web.responses = [response]
    with pytest.raises(
        CatalogError, match=rf"^{web.url}/dr17/.* returned {description}.*: correct"
    ) as error:
        skyserver_client.query("DR17", QUERY)
    assert "\n" not in str(error.value)
    assert len(web.requests) == 1


def test_an_unreachable_server_is_an_error(unreachable_url: str, settings: Settings) -> None:
    settings = settings.model_copy(update={"skyserver_url": unreachable_url})
    ObjectStore(settings).make_buckets()
    with pytest.raises(CatalogError, match=r"returned no response \(NewConnectionError\)"):
        SkyServerClient(ObjectStore(settings)).query("DR17", QUERY)


def test_response_is_cached(web: Web, skyserver_client: SkyServerClient) -> None:
    web.responses = [TABLE]
    first = skyserver_client.query("DR17", QUERY)
    assert SkyServerClient(skyserver_client.store).query("DR17", QUERY) == first
    assert len(web.requests) == 1
    skyserver_client.query("DR18", QUERY)
    assert [path.split("/")[1] for path in web.requests] == ["dr17", "dr18"]


@pytest.mark.parametrize("empty", [EMPTY, Response(b"No objects have been found\n")], ids=str)
def test_empty_response_is_not_cached(
    empty: Response, web: Web, skyserver_client: SkyServerClient
) -> None:
    web.responses = [empty]
    for _ in range(2):
        skyserver_client.query("DR17", QUERY)
    assert len(web.requests) == 2


def test_queries_keep_the_minimum_interval(
    web: Web, skyserver_client: SkyServerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MIN_INTERVAL_SECONDS", 0.2)
    monkeypatch.setattr(client, "BACKOFF_SECONDS", (0.4,))
    request_times: list[float] = []

    def record_time(response: Response) -> Callable[[str], Response]:
        def respond(path: str) -> Response:
            request_times.append(time.monotonic())
            return response

        return respond

    web.responses = [record_time(each) for each in (EMPTY, EMPTY, BUSY, EMPTY)]
    for _ in range(3):
        skyserver_client.query("DR17", QUERY)
    intervals = [after - before for before, after in itertools.pairwise(request_times)]
    assert min(intervals) >= 0.2
    assert intervals[-1] >= 0.4


@pytest.mark.parametrize(("page_rows", "max_rows"), [(5, 99), (99, 99), (5, 3), (5, 1), (12, 99)])
def test_every_row_is_ingested_once_for_any_page_size(
    page_rows: int,
    max_rows: int,
    web: Web,
    ingest_uri: Callable[[str], Accounting],
    table: ObservationsTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The row cap of the server may be lower than the page size."""
    monkeypatch.setattr(skyserver, "PAGE_ROWS", page_rows)
    web.responses = [Survey(make_spectra(*KEYS), max_rows)]
    assert ingest_uri("skyserver:?release=dr17").inserted == len(KEYS)
    assert read_keys(table) == sorted(KEYS)
    assert set(table.read(table.version(), ["release"])["release"]) == {"DR17"}


@pytest.mark.parametrize(("release", "has_wise"), [("dr17", True), ("dr13", True), ("dr12", False)])
def test_optional_inputs_are_ingested(
    release: str,
    has_wise: bool,
    web: Web,
    ingest_uri: Callable[[str], Accounting],
    table: ObservationsTable,
) -> None:
    """The database has WISE magnitudes from DR13 on."""
    rows = make_spectra(*KEYS)
    rows.loc[0, ["type", "w1", "psf_u"]] = [0, float("nan"), -9999]
    web.responses = [Survey(rows)]
    assert ingest_uri(f"skyserver:?release={release}").not_measured == 2
    stored = table.read(table.version(), list(OPTIONAL))
    values = {name: set(stored[name].dropna()) for name in OPTIONAL}
    assert values == {
        name: {value} if has_wise or name not in ("w1", "w2") else set()
        for name, value in OPTIONAL.items()
    }
    assert stored.drop(columns=["w1", "w2"]).isna().sum().sum() == 2


def test_an_ingest_resumes_after_an_error(
    web: Web,
    ingest_uri: Callable[[str], Accounting],
    table: ObservationsTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(skyserver, "PAGE_ROWS", 5)
    survey = Survey(make_spectra(*KEYS))
    web.responses = [survey, survey, MAINTENANCE]
    with pytest.raises(CatalogError, match="web page"):
        ingest_uri("skyserver:")
    assert len(read_keys(table)) == 10
    web.responses, requests = [survey], len(web.requests)
    resumed = ingest_uri("skyserver:")
    assert (resumed.inserted, resumed.duplicates) == (2, 0)
    assert len(web.requests) == requests + 2  # the last page, and an empty one
    assert ingest_uri("skyserver:").rows_in == 0


def test_a_range_of_nights_queries_only_its_plates(
    web: Web, ingest_uri: Callable[[str], Accounting], table: ObservationsTable
) -> None:
    others = [(300, 58_000, 5), (701, 58_000, 5)]  # on a plate of the range, but another night
    web.responses = [Survey(make_spectra(*KEYS, *others))]
    assert ingest_uri("skyserver:?mjd=51900-52300").inserted == 9
    assert read_keys(table) == sorted(key for key in KEYS if key[0] != 12_000)
    ranges = {path.split("BETWEEN+")[1].split("+AND+s.zW")[0] for path in web.requests}
    assert len(ranges) == 5  # plates; spectra of 300 to 301 and of 700, each up to an empty page


def test_an_ingest_of_a_range_of_nights_resumes_within_its_plates(
    web: Web,
    ingest_uri: Callable[[str], Accounting],
    table: ObservationsTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(skyserver, "PAGE_ROWS", 2)
    survey = Survey(make_spectra(*KEYS))
    web.responses = [*[survey] * 8, Response(status=400)]
    with pytest.raises(CatalogError, match="status 400"):
        ingest_uri("skyserver:?mjd=51900-52300")
    committed = len(read_keys(table))
    assert 0 < committed < 9
    web.responses = [survey]
    assert ingest_uri("skyserver:?mjd=51900-52300").inserted == 9 - committed


def test_rows_in_another_order_are_rejected(
    web: Web, ingest_uri: Callable[[str], Accounting]
) -> None:
    web.responses = [Response((HEADER + make_spectra(*KEYS[::-1]).to_csv(index=False)).encode())]
    with pytest.raises(
        CatalogError, match="the server ignored the order or the range of the query"
    ):
        ingest_uri("skyserver:")


def test_a_server_that_ignores_the_condition_is_rejected(
    web: Web, ingest_uri: Callable[[str], Accounting]
) -> None:
    """Otherwise the client would read the same page forever."""
    web.responses = [Response((HEADER + make_spectra(*KEYS).to_csv(index=False)).encode())]
    with pytest.raises(
        CatalogError, match="the server ignored the order or the range of the query"
    ):
        ingest_uri("skyserver:")


def test_a_missing_column_is_reported(web: Web, ingest_uri: Callable[[str], Accounting]) -> None:
    rows = make_spectra(*KEYS).drop(columns="redshift")
    web.responses = [Response((HEADER + rows.to_csv(index=False)).encode())]
    with pytest.raises(CatalogError, match="the response has no column redshift"):
        ingest_uri("skyserver:")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("skyserver:?release=dr19", "release must be dr8 to dr18"),
        ("skyserver:?release=17", "release must be dr8"),
        ("skyserver:?mjd=57000", "mjd must be a range of nights, such as mjd=57000-57100"),
        ("skyserver:?mjd=57100-57000", "mjd must be a range of nights"),
        ("skyserver:?plate=266", "unknown part plate: write skyserver:"),
        ("skyserver:dr17", "unknown part dr17: write skyserver:"),
    ],
)
def test_a_malformed_uri_is_rejected_in_one_line(
    uri: str, message: str, settings: Settings
) -> None:
    with pytest.raises(CatalogError, match=message) as error:
        open_source(uri, ObjectStore(settings))
    assert "\n" not in str(error.value)
