"""The client sends the token and trusts the certificates that their files have now."""

import json
import os
import ssl
from pathlib import Path

import pytest

from skyclass.client import Client
from skyclass.errors import ServingError
from skyclass.survey.features import Mode
from tests.support.certificates import Authority
from tests.support.web import Response, serve

FOUND = Response(json.dumps({"versions": ["release"]}).encode())


def make_context(authority: Authority, folder: Path, host: str = "localhost") -> ssl.SSLContext:
    """Return a server's TLS context with a new certificate."""
    issued = authority.issue(host)
    (folder / "tls.pem").write_text(issued.certificate + issued.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.pem")
    return context


def test_a_renewed_token_is_sent_with_the_next_request(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with serve(FOUND) as web:
        client = Client(web.url, Mode.PHOTOMETRIC, token=file)
        for token in ("first", "second"):
            file.write_text(f"{token}\n")
            client.model_version()
        assert [each["Authorization"] for each in web.headers] == ["Bearer first", "Bearer second"]


def test_a_token_may_be_a_text_and_no_token_sends_no_header() -> None:
    with serve(FOUND) as web:
        Client(web.url, Mode.PHOTOMETRIC, token="text").model_version()  # noqa: S106
        Client(web.url, Mode.PHOTOMETRIC).model_version()
        assert [each["Authorization"] for each in web.headers] == ["Bearer text", None]


@pytest.mark.parametrize(("status", "reason"), [(401, "Jwt is expired"), (403, "no audience")])
def test_a_rejected_token_is_reported_with_the_reason(status: int, reason: str) -> None:
    with (
        serve(Response(json.dumps({"error": reason}).encode(), status)) as web,
        pytest.raises(ServingError, match=rf"rejected the request \({status}: {reason}\): pass"),
    ):
        Client(web.url, Mode.PHOTOMETRIC).model_version()


def test_a_missing_or_empty_file_is_reported_before_a_request(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    cases = {
        "token .*missing .No such file": {"token": tmp_path / "missing"},
        "no bearer token: the file .*empty is empty": {"token": tmp_path / "empty"},
        "CA certificate .*missing .No such file": {"ca_file": tmp_path / "missing"},
    }
    for message, credentials in cases.items():
        client = Client("http://127.0.0.1:9", Mode.PHOTOMETRIC, **credentials)
        with pytest.raises(ServingError, match=message):
            client.model_version()


@pytest.mark.parametrize(
    "text", ["secret\nsecret", "secret\r\nX-Forged: 1", "secret\u20ac", "a secret"]
)
def test_a_malformed_token_is_not_repeated_in_the_error(text: str) -> None:
    with pytest.raises(ServingError, match="no bearer token") as error:
        Client("http://127.0.0.1:9", Mode.PHOTOMETRIC, token=text).model_version()
    assert "secret" not in str(error.value)


def test_a_rejected_certificate_is_reported_with_the_whole_reason(tmp_path: Path) -> None:
    authority, file = Authority(), tmp_path / "ca.crt"
    file.write_text(authority.certificate)
    with serve(FOUND, tls=make_context(authority, tmp_path, "elsewhere")) as web:
        client = Client(web.url, Mode.PHOTOMETRIC, ca_file=file)
        with pytest.raises(ServingError, match=r"Hostname mismatch.*for 'localhost'.*\): pass the"):
            client.model_version()


def test_a_replaced_ca_certificate_is_used_for_the_next_connection(tmp_path: Path) -> None:
    old, new = Authority(), Authority()
    file = tmp_path / "ca.crt"
    file.write_text(old.certificate)
    with serve(FOUND, tls=make_context(new, tmp_path)) as web:
        client = Client(web.url, Mode.PHOTOMETRIC, ca_file=file)
        with pytest.raises(ServingError, match="no TLS connection to https://localhost"):
            client.model_version()
        file.write_text(new.certificate)
        os.utime(file, ns=(0, 0))  # another time than before, however coarse the clock
        assert client.model_version() == "release"
