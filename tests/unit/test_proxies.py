"""Every client sends its requests through the proxy of the environment, or directly."""

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from skyclass.client import Client
from skyclass.errors import CatalogError, SkyclassError, StoreError
from skyclass.http import make_pool
from skyclass.orchestration.backend import Backend
from skyclass.promotion.cluster import Cluster
from skyclass.proxies import find_proxy
from skyclass.scoring.inputs import open_input
from skyclass.settings import Settings
from skyclass.sources import remote
from skyclass.sources.remote import fetch
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.observations import ObservationsTable
from tests.support.web import Response, Web, serve

PROXY = "http://proxy.example:3128"
STORE = "http://store.example:9000"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the proxies of the environment in which the tests run."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def proxied(web: Web, monkeypatch: pytest.MonkeyPatch) -> Web:
    """A proxy for all URLs that responds with 404."""
    monkeypatch.setenv("ALL_PROXY", web.url.replace("://", "://user:pass%20word@"))
    return web


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        ({}, "http://a.example", None),
        ({"HTTP_PROXY": PROXY}, "http://a.example", PROXY),
        ({"HTTP_PROXY": PROXY}, "https://a.example", None),
        ({"HTTPS_PROXY": PROXY}, "https://a.example", PROXY),
        ({"ALL_PROXY": PROXY}, "https://a.example", PROXY),
        ({"http_proxy": PROXY, "HTTP_PROXY": "http://b:1"}, "http://a.example", PROXY),
        ({"HTTP_PROXY": PROXY, "ALL_PROXY": "http://b:1"}, "http://a.example", PROXY),
        ({"HTTP_PROXY": "proxy.example"}, "http://a.example", "http://proxy.example:80"),
        ({"HTTP_PROXY": "https://p.example/"}, "http://a.example", "https://p.example:443"),
        ({"ALL_PROXY": PROXY}, "http://[::1/a.csv", None),
        ({"ALL_PROXY": PROXY}, "http://", None),
    ],
    ids=str,
)
def test_variables_name_the_proxy(
    variables: dict[str, str], url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert find_proxy(url) == proxy


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "127.8.8.8", "[::1]:9000", "LocalHost:9000"])
def test_loopback_has_no_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)
    assert find_proxy(f"http://{host}/bucket") is None


@pytest.mark.parametrize(
    ("no_proxy", "host", "is_direct"),
    [
        ("*", "a.example", True),
        ("a.example", "a.example", True),
        ("A.Example", "a.example", True),
        ("example", "a.example", True),
        (".example", "a.example", True),
        ("*.example", "a.example", True),
        ("b.example, a.example", "a.example:9000", True),
        ("a.example:9000", "a.example:9000", True),
        ("a.example:9000", "a.example", False),
        ("xample", "a.example", False),
        ("a.example", "example", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3:9000", True),
        ("fd00::/8", "[fd00::1]:9000", True),
        ("", "a.example", False),
        (",", "a.example", False),
    ],
)
def test_no_proxy_names_hosts_that_are_reached_directly(
    no_proxy: str, host: str, is_direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (find_proxy(f"http://{host}/bucket") is None) == is_direct


@pytest.mark.parametrize(
    "proxy", ["socks5://user:secret@p.example:1080", "http://p:port", "http://"]
)
def test_other_proxies_are_rejected_without_their_password(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(SkyclassError, match=r"the proxy for http://a\.example is no") as error:
        find_proxy("http://a.example/a.csv")
    assert "secret" not in str(error.value)


def test_a_file_of_the_web_comes_through_the_proxy(proxied: Web, settings: Settings) -> None:
    proxied.responses = [Response(b"rows")]
    path = fetch("http://survey.example/a.csv", ObjectStore(settings))
    assert path.read_bytes() == b"rows"
    assert proxied.requests == ["GET http://survey.example/a.csv"]


def test_https_is_tunnelled(proxied: Web, settings: Settings) -> None:
    pool = make_pool(connect_seconds=1, read_seconds=1)
    with pytest.raises(Exception, match="Tunnel connection failed: 404"):
        pool.request("GET", "https://survey.example/a.csv")
    assert proxied.requests == ["CONNECT survey.example:443"]


def test_a_redirect_to_loopback_leaves_the_proxy(proxied: Web, settings: Settings) -> None:
    with serve(Response(b"rows")) as local:
        location = {"Location": f"{local.url}/b.csv"}
        proxied.responses = [Response(status=302, headers=location)]
        path = fetch("http://survey.example/a.csv", ObjectStore(settings))
        assert path.read_bytes() == b"rows"
        assert local.requests == ["GET /b.csv"]
        assert local.headers[0]["Host"] == local.url.removeprefix("http://")


def test_a_redirect_to_another_host_goes_through_its_proxy(
    proxied: Web, settings: Settings
) -> None:
    proxied.responses = [
        Response(status=302, headers={"Location": "http://mirror.example/b.csv"}),
        Response(b"rows"),
    ]
    assert fetch("http://survey.example/a.csv", ObjectStore(settings)).read_bytes() == b"rows"
    assert proxied.requests[1] == "GET http://mirror.example/b.csv"
    assert proxied.headers[1]["Host"] == "mirror.example"


def _make_settings() -> Settings:
    """Return settings of a store on another host, without retries."""
    return Settings(
        AWS_ENDPOINT_URL=STORE,
        AWS_ACCESS_KEY_ID="key",
        AWS_SECRET_ACCESS_KEY=SecretStr("secret"),
        s3_retries=0,
        s3_connect_seconds=1,
        s3_read_seconds=1,
    )


def _open_delta(settings: Settings) -> object:
    changes = {"data_bucket": "bucket"}
    return ObservationsTable(settings.model_copy(update=changes)).watermark("source")


def _get_object(settings: Settings) -> object:
    return ObjectStore(settings).get("bucket", "key")


def _open_files(settings: Settings) -> object:
    return open_input(settings, "s3://bucket/key.parquet")


def test_errors_name_the_proxy_without_its_password(
    unreachable_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", unreachable_url.replace("://", "://user:secret@"))
    monkeypatch.setattr(remote, "BACKOFF_SECONDS", 0.01)
    with pytest.raises(CatalogError, match=f"through the proxy {unreachable_url} ") as error:
        fetch("http://survey.example/a.csv", ObjectStore(settings))
    assert "secret" not in str(error.value)
    with pytest.raises(StoreError, match=f"{STORE} is unreachable through the proxy"):
        _open_delta(_make_settings())


S3_CLIENTS = [_get_object, _open_delta, _open_files]


@pytest.mark.parametrize("call", S3_CLIENTS)
@pytest.mark.parametrize("no_proxy", ["", "store.example"])
def test_a_store_elsewhere_is_reached_through_the_proxy_unless_excluded(
    call: Callable[[Settings], object],
    no_proxy: str,
    proxied: Web,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_PROXY", no_proxy)
    with pytest.raises(SkyclassError):
        call(_make_settings())
    if no_proxy:
        assert proxied.requests == []
    else:
        assert proxied.requests[0].split()[1].startswith(f"{STORE}/bucket/")
        credentials = base64.b64encode(b"user:pass word").decode()
        assert proxied.headers[0]["Proxy-Authorization"] == f"Basic {credentials}"


def test_the_endpoint_kfp_and_kubernetes_are_reached_through_the_proxy(
    proxied: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = {"name": "a", "cluster": {"server": "http://kubernetes.example"}}
    context = {"name": "a", "context": {"cluster": "a", "user": "a"}}
    user = {"name": "a", "user": {"token": "secret"}}
    lists = {"clusters": [cluster], "contexts": [context], "users": [user]}
    (tmp_path / "config").write_text(json.dumps({"current-context": "a", **lists}))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))

    assert not Client("http://predictor.example", Mode.PHOTOMETRIC).is_ready()
    with pytest.raises(SkyclassError):
        Backend("http://kfp.example").get_run("abc")
    assert Cluster("skyclass").get_config_map("a") is None
    assert [request.split("/")[2] for request in proxied.requests] == [
        "predictor.example",
        "kfp.example",
        "kubernetes.example",
    ]
    assert all("Proxy-Authorization" in headers for headers in proxied.headers)
