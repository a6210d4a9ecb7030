"""Schemes are compared in lower case, and no error, log or link repeats credentials of a URL."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from skyclass.client import Client
from skyclass.errors import SkyclassError
from skyclass.notifications.settings import NotificationSettings
from skyclass.orchestration import submit
from skyclass.promotion.cluster import Cluster
from skyclass.scoring.inputs import open_input
from skyclass.settings import Settings, load, load_settings
from skyclass.sources import open_source
from skyclass.sources.skyserver import client as skyserver
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.observations import ObservationsTable
from skyclass.urls import omit_credentials
from tests.support.rows import frame
from tests.support.web import Response, Web


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host:8080", "http://host:8080"),
        ("https://host/a.csv?release=17#hdu=2", "https://host/a.csv?release=17#hdu=2"),
        ("https://vera:hunter2@host:8443/path", "https://host:8443/path"),
        ("https://hunter2@host", "https://host"),
        ("https://host/a?X-Amz-Credential=hunter2&X-Amz-Signature=hunter2", "https://host/a"),
        ("https://host/a?%74oken=hunter2", "https://host/a"),
        ("vera:hunter2@host:8080", "…"),
        ("https://vera:hunter2@host:port", "…"),
        ("https://host:port/?token=hunter2", "https://host:port/"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_its_credentials(url: str, shown: str) -> None:
    assert omit_credentials(url) == shown


def _call_endpoint(url: str, _: Settings) -> None:
    Client(url, Mode.PHOTOMETRIC).model_version()


def _await_endpoint(url: str, _: Settings) -> None:
    Client(url, Mode.PHOTOMETRIC).wait_ready(0)


def _call_kfp(url: str, _: Settings) -> None:
    submit.connect(url).get_run("abc")


def _call_kubernetes(url: str, settings: Settings) -> None:
    cluster = {"name": "a", "cluster": {"server": url}}
    context = {"name": "a", "context": {"cluster": "a", "user": "a"}}
    lists = {"clusters": [cluster], "contexts": [context], "users": [{"name": "a", "user": {}}]}
    file = settings.home / "config"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"current-context": "a", **lists}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(file))
        Cluster("skyclass").list_pods("a")


def _call_skyserver(url: str, settings: Settings) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKYCLASS_SKYSERVER_URL", url)
        patch.setattr(skyserver, "BACKOFF_SECONDS", (0.01,))
        patch.setattr(skyserver, "MIN_INTERVAL_SECONDS", 0.0)
        store = ObjectStore(load_settings())
        store.make_buckets()
        skyserver.SkyServerClient(store).query("DR17", "SELECT 1")


def _change_store(url: str, settings: Settings) -> Settings:
    changes = {"endpoint_url": url, "s3_retries": 0, "s3_connect_seconds": 1}
    return settings.model_copy(update=changes)


def _open_store(url: str, settings: Settings) -> None:
    ObjectStore(_change_store(url, settings))


def _open_delta(url: str, settings: Settings) -> None:
    ObservationsTable(_change_store(url, settings)).version()


def _score(url: str, settings: Settings) -> None:
    open_input(_change_store(url, settings), "table:")


def _score_files(url: str, settings: Settings) -> None:
    open_input(_change_store(url, settings), "s3://bucket/a.csv")


def _score_web(url: str, settings: Settings) -> None:
    open_input(settings, f"{url}/a.csv")


def _ingest(url: str, settings: Settings) -> None:
    open_source(f"{url}/a.csv", ObjectStore(settings))


def _ingest_with_unknown_option(url: str, settings: Settings) -> None:
    open_source(f"{url}/a.csv?encoding=a&token=hunter2#unknown=1", ObjectStore(settings))


CALLS = [
    *(_call_endpoint, _await_endpoint, _call_kfp, _call_kubernetes, _call_skyserver),
    *(_open_store, _open_delta, _score, _score_files, _score_web),
    *(_ingest, _ingest_with_unknown_option),
]


@pytest.mark.parametrize("call", CALLS)
def test_no_error_and_no_log_has_credentials_of_a_url(
    call: Callable[[str, Settings], None],
    unreachable_url: str,
    settings: Settings,
    environment: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    host = unreachable_url.removeprefix("http://")
    with pytest.raises(SkyclassError) as error:
        call(f"http://vera:hunter2@{host}", settings)
    assert host in str(error.value)
    assert "hunter2" not in str(error.value) + caplog.text


@pytest.mark.parametrize("call", [_open_delta, _score, _score_files])
@pytest.mark.parametrize("status", [401, 404])
def test_a_response_of_another_server_than_a_store_is_reported_without_credentials(
    call: Callable[[str, Settings], None], status: int, web: Web, settings: Settings
) -> None:
    web.responses = [Response(status=status)]
    with pytest.raises(SkyclassError) as error:
        call(web.url.replace("://", "://vera:hunter2@"), settings)
    assert web.requests
    assert "hunter2" not in str(error.value)
    assert str(error.value).isprintable()


def test_links_have_no_credentials(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "https://vera:hunter2@sky.example.org/pages"
    for name in ("KF_PIPELINES_UI_ENDPOINT", "SKYCLASS_MONITOR_URL"):
        monkeypatch.setenv(name, url)
    links = (load_settings().kfp_url, load(NotificationSettings).monitor_url)
    assert links == ("https://sky.example.org/pages",) * 2


def test_sources_are_recognized_by_a_scheme_in_upper_case(
    web: Web, store: ObjectStore, tmp_path: Path
) -> None:
    data = frame({}).to_csv(index=False).encode()
    web.responses = [Response(data)]
    store.put(store.settings.data_bucket, "a.csv", data, "text/csv")
    (tmp_path / "a.csv").write_bytes(data)
    for uri in (
        *(f"{web.url}/a.csv", f"s3://{store.settings.data_bucket}/a.csv"),
        *(f"file://{tmp_path}/a.csv", "simulated:?rows=10", "skyserver:?release=DR17"),
    ):
        scheme, colon, rest = uri.partition(":")
        source = open_source(f"{scheme.upper()}{colon}{rest}", store)
        assert source.name == open_source(uri, store).name


def test_scored_inputs_are_recognized_by_a_scheme_in_upper_case(
    store: ObjectStore, tmp_path: Path
) -> None:
    data = frame({}).to_csv(index=False).encode()
    store.put(store.settings.data_bucket, "a.csv", data, "text/csv")
    (tmp_path / "a.csv").write_bytes(data)
    assert open_input(store.settings, f"S3://{store.settings.data_bucket}/a.csv").pieces
    assert open_input(store.settings, f"FILE://{tmp_path}/a.csv").pieces


def test_the_store_is_reached_by_a_scheme_in_upper_case(
    store: ObjectStore, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", store.settings.endpoint_url.replace("http:", "HTTP:"))
    settings = load_settings().model_copy(update={"data_bucket": store.settings.data_bucket})
    store.put(settings.data_bucket, "a.csv", frame({}).to_csv(index=False).encode(), "text/csv")
    assert ObjectStore(settings).get(settings.data_bucket, "a.csv")
    assert open_input(settings, f"s3://{settings.data_bucket}/a.csv").pieces
