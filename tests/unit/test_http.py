"""Errors of every HTTP client say why a certificate was rejected."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from skyclass.errors import SkyclassError
from skyclass.orchestration.backend import Backend
from skyclass.settings import Settings
from skyclass.sources import remote
from skyclass.sources.remote import fetch
from skyclass.storage.s3 import ObjectStore
from tests.support.certificates import Authority
from tests.support.web import Response, serve


def _call_store(url: str, settings: Settings) -> None:
    changes = {"endpoint_url": url, "s3_retries": 1}
    ObjectStore(settings.model_copy(update=changes)).get("bucket", "key")


def _fetch(url: str, settings: Settings) -> None:
    fetch(f"{url}/a.csv", ObjectStore(settings))


def _call_kfp(url: str, _: Settings) -> None:
    Backend(url).get_run("abc")


@pytest.mark.parametrize("call", [_call_store, _fetch, _call_kfp])
def test_a_rejected_certificate_is_reported_with_its_reason(
    call: Callable[[str, Settings], None],
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote, "BACKOFF_SECONDS", 0.01)
    issued = Authority().issue("localhost")
    (tmp_path / "tls.pem").write_text(issued.certificate + issued.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.pem")
    with (
        serve(Response(), tls=context) as web,
        pytest.raises(SkyclassError, match=r"is unreachable \(.*certificate verify failed: .+\): "),
    ):
        call(web.url, settings)
