"""SkyServer is asked politely, and whatever it says ends in whole tables or in one clear line."""

import itertools
import json
import time
from collections.abc import Callable

import pytest

from skyclass.errors import CatalogError
from skyclass.ingest.job import Accounting, ingest
from skyclass.settings import Settings
from skyclass.sources import open_source
from skyclass.sources.skyserver import client
from skyclass.sources.skyserver import source as skyserver
from skyclass.sources.skyserver.client import SkyServerClient
from skyclass.storage.s3 import ObjectStore
from skyclass.tables.observations import ObservationsTable
from tests.support.skyserver import HEADER, Survey, spectra
from tests.support.web import Response, Web

# The last plate's ids exceed every signed 64-bit number.
KEYS = [(plate, 51_600 + plate, fibre) for plate in (300, 301, 700, 12_000) for fibre in (1, 2, 9)]
QUERY = "SELECT TOP 5 s.plate FROM SpecObj AS s"
TABLE = Response(f"{HEADER}plate\n300\n301\n".encode())
EMPTY = Response(f"{HEADER}plate\n".encode())
BUSY = Response(b'error_message\n"Maximum 60 queries allowed per minute.\nTry later, please."\n')
MAINTENANCE = Response(b"<!DOCTYPE html><html><head><title>Down\n today</title></head></html>")
TEMPORARY = {
    "throttle": (BUSY, "the error: Maximum 60 queries allowed per minute. Try later, please."),
    "maintenance": (MAINTENANCE, r"status 200 and a web page \(Down today\)"),
    "overload": (Response(b'{"ErrorMessage": "no"}', status=503), "status 503: no"),
    "too many": (Response(b"slow down", status=429), "status 429: slow down"),
    "JSON in disguise": (Response(b'{"ErrorMessage": "no"}'), "status 200: no"),
    "torn": (Response(TABLE.body, length=99), r"no response \("),
    "dropped": (Response(status=0), r"no response \("),
    "row cut short": (Response(b"a,b\n1,2\n3"), "a truncated table"),
    "line cut short": (Response(b"a,b\n1,2\n3,4.5"), "a truncated table"),
    "nothing": (Response(b""), "a truncated table"),
}
PERMANENT = {
    "bad SQL": (
        Response(json.dumps({"ErrorCode": 400, "ErrorMessage": "Bad\nSQL"}).encode(), status=400),
        "status 400: Bad SQL",
    ),
    "address too long": (Response(b"<html></html>", status=414), "status 414 and a web page"),
    "no such release": (Response(b"", status=404), "status 404: no message"),
}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the timeouts and keep the number of retries."""
    monkeypatch.setattr(client, "MIN_INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(client, "BACKOFF_SECONDS", (0.0, 0.0, 0.0, 0.0))
    monkeypatch.setattr(client, "CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(client, "READ_SECONDS", 0.5)


@pytest.fixture
def server(web: Web, store: ObjectStore) -> SkyServerClient:
    """A client of the server that the test tells what to say."""
    settings = store.settings.model_copy(
        update={"skyserver_url": web.url, "skyserver_contact": "me@example.org"}
    )
    return SkyServerClient(ObjectStore(settings))


@pytest.fixture
def take(server: SkyServerClient, table: ObservationsTable) -> Callable[[str], Accounting]:
    """Ingests a source of that server."""

    def take(uri: str) -> Accounting:
        source = open_source(uri, server.store)
        accounting = ingest(source, table, server.store)
        assert accounting.is_balanced
        return accounting

    return take


def keys(table: ObservationsTable) -> list[tuple[int, int, int]]:
    rows = table.read(table.version(), ["plate", "mjd", "fiber_id"])
    return sorted(map(tuple, rows.to_numpy().tolist()))


@pytest.mark.parametrize(("answer", "said"), TEMPORARY.values(), ids=TEMPORARY.keys())
def test_temporary_error_is_retried_then_raised(
    answer: Response, said: str, web: Web, server: SkyServerClient
) -> None:
    web.responses = [answer, answer, TABLE]
    assert server.query("DR17", QUERY) == TABLE.body
    web.responses, asked = [answer], len(web.requests)
    with pytest.raises(
        CatalogError, match=rf"{said}.*: try again later; committed rows are kept"
    ) as error:
        server.query("DR16", QUERY)
    assert "\n" not in str(error.value)
    assert len(web.requests) == asked + 1 + len(client.BACKOFF_SECONDS)
    assert not list(server.store.list_keys(server.store.settings.data_bucket, "skyserver/dr16"))


@pytest.mark.parametrize(("answer", "said"), PERMANENT.values(), ids=PERMANENT.keys())
def test_permanent_error_is_raised_at_once(
    answer: Response, said: str, web: Web, server: SkyServerClient
) -> None:
    web.responses = [answer]
    with pytest.raises(
        CatalogError, match=rf"^{web.url}/dr17/.* returned {said}.*: correct"
    ) as error:
        server.query("DR17", QUERY)
    assert "\n" not in str(error.value)
    assert len(web.requests) == 1


def test_unreachable_server_is_one_error(no_server: str, settings: Settings) -> None:
    settings = settings.model_copy(update={"skyserver_url": no_server})
    ObjectStore(settings).make_buckets()
    with pytest.raises(CatalogError, match=r"returned no response \(NewConnectionError\)"):
        SkyServerClient(ObjectStore(settings)).query("DR17", QUERY)


def test_response_is_cached(web: Web, server: SkyServerClient) -> None:
    web.responses = [TABLE]
    first = server.query("DR17", QUERY)
    assert SkyServerClient(server.store).query("DR17", QUERY) == first
    assert len(web.requests) == 1
    server.query("DR18", QUERY)
    assert [path.split("/")[1] for path in web.requests] == ["dr17", "dr18"]


@pytest.mark.parametrize("empty", [EMPTY, Response(b"No objects have been found\n")], ids=str)
def test_empty_response_is_not_cached(empty: Response, web: Web, server: SkyServerClient) -> None:
    web.responses = [empty]
    for _ in range(2):
        server.query("DR17", QUERY)
    assert len(web.requests) == 2


def test_queries_keep_the_minimum_interval(
    web: Web, server: SkyServerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MIN_INTERVAL_SECONDS", 0.2)
    monkeypatch.setattr(client, "BACKOFF_SECONDS", (0.4,))
    begun: list[float] = []

    def note(answer: Response) -> Callable[[str], Response]:
        def answered(path: str) -> Response:
            begun.append(time.monotonic())
            return answer

        return answered

    web.responses = [note(EMPTY), note(EMPTY), note(BUSY), note(EMPTY)]
    for _ in range(3):
        server.query("DR17", QUERY)
    gaps = [after - before for before, after in itertools.pairwise(begun)]
    assert min(gaps) >= 0.2
    assert gaps[-1] >= 0.4


@pytest.mark.parametrize(("page", "cap"), [(5, 99), (99, 99), (5, 3), (5, 1), (12, 99)])
def test_every_row_comes_once_whatever_the_pages(
    page: int,
    cap: int,
    web: Web,
    take: Callable[[str], Accounting],
    table: ObservationsTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when the server cuts answers short without a word."""
    monkeypatch.setattr(skyserver, "PAGE_ROWS", page)
    web.responses = [Survey(spectra(*KEYS), cap)]
    assert take("skyserver:?release=dr17").inserted == len(KEYS)
    assert keys(table) == sorted(KEYS)
    assert set(table.read(table.version(), ["release"])["release"]) == {"DR17"}


def test_an_ingest_goes_on_where_the_last_one_was_refused(
    web: Web,
    take: Callable[[str], Accounting],
    table: ObservationsTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(skyserver, "PAGE_ROWS", 5)
    survey = Survey(spectra(*KEYS))
    web.responses = [survey, survey, MAINTENANCE]
    with pytest.raises(CatalogError, match="web page"):
        take("skyserver:")
    assert len(keys(table)) == 10
    web.responses, asked = [survey], len(web.requests)
    resumed = take("skyserver:")
    assert (resumed.inserted, resumed.duplicates) == (2, 0)
    assert len(web.requests) == asked + 2  # the last page, and that it was the last
    assert take("skyserver:").rows_in == 0


def test_a_window_of_nights_asks_for_its_plates_alone(
    web: Web, take: Callable[[str], Accounting], table: ObservationsTable
) -> None:
    others = [(300, 58_000, 5), (701, 58_000, 5)]  # a plate of the window, on another night
    web.responses = [Survey(spectra(*KEYS, *others))]
    assert take("skyserver:?mjd=51900-52300").inserted == 9
    assert keys(table) == sorted(key for key in KEYS if key[0] != 12_000)
    ranges = {path.split("BETWEEN+")[1].split("+AND+s.zW")[0] for path in web.requests}
    assert len(ranges) == 5  # the plates, then 300 to 301 and 700, each with its end


def test_a_window_is_resumed_in_its_plates(
    web: Web,
    take: Callable[[str], Accounting],
    table: ObservationsTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(skyserver, "PAGE_ROWS", 2)
    survey = Survey(spectra(*KEYS))
    web.responses = [*[survey] * 8, Response(status=400)]
    with pytest.raises(CatalogError, match="status 400"):
        take("skyserver:?mjd=51900-52300")
    taken = len(keys(table))
    assert 0 < taken < 9
    web.responses = [survey]
    assert take("skyserver:?mjd=51900-52300").inserted == 9 - taken


def test_rows_in_another_order_are_rejected(web: Web, take: Callable[[str], Accounting]) -> None:
    web.responses = [Response((HEADER + spectra(*KEYS[::-1]).to_csv(index=False)).encode())]
    with pytest.raises(
        CatalogError, match="the server ignored the order or the range of the query"
    ):
        take("skyserver:")


def test_a_server_that_ignores_the_condition_is_rejected(
    web: Web, take: Callable[[str], Accounting]
) -> None:
    """Else the same page would come for ever."""
    web.responses = [Response((HEADER + spectra(*KEYS).to_csv(index=False)).encode())]
    with pytest.raises(
        CatalogError, match="the server ignored the order or the range of the query"
    ):
        take("skyserver:")


def test_a_column_that_is_not_there_is_named(web: Web, take: Callable[[str], Accounting]) -> None:
    rows = spectra(*KEYS).drop(columns="redshift")
    web.responses = [Response((HEADER + rows.to_csv(index=False)).encode())]
    with pytest.raises(CatalogError, match="the response has no column redshift"):
        take("skyserver:")


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
