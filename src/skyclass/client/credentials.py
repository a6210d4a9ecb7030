"""Credentials of a client of the endpoint: a bearer token, and the CA certificates to trust."""

import re
from pathlib import Path

import urllib3

from skyclass.errors import ServingError
from skyclass.http import make_pool

_CONNECT_SECONDS = 3
_READ_SECONDS = 30
_RETRIES = 3
_BACKOFF_SECONDS = 0.5
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""Bearer tokens (RFC 6750, section 2.1). Errors of HTTP libraries quote a malformed header."""


class Credentials:
    """A token and CA certificates whose files may change while they are in use.

    Kubernetes renews the tokens of ServiceAccounts, and cert-manager renews certificates.
    """

    def __init__(self, token: str | Path | None, ca_file: Path | None) -> None:
        """Remember where the credentials are; no file is read yet.

        Args:
            token: Bearer token, or the file that has it; None for none.
            ca_file: PEM file with CA certificates; None for those of the system.
        """
        self._token = token
        self._ca_file = ca_file
        self._pool = _make_pool(None)
        self._version: int | None = None

    def make_headers(self) -> dict[str, str]:
        """Return the headers that authenticate a request.

        Raises:
            ServingError: The file of the token cannot be read, or has no token or more than one.
        """
        if self._token is None:
            return {}
        token = self._token
        if isinstance(token, Path):
            try:
                token = token.read_text(encoding="ascii").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise _unreadable("bearer token", self._token, error) from error
        if not _TOKEN.fullmatch(token):
            place = f"the file {self._token}" if isinstance(self._token, Path) else "the argument"
            raise ServingError(
                f"no bearer token: {place} is empty, or has more than one word or characters that "
                "no token has: write the token alone"
            )
        return {"Authorization": f"Bearer {token}"}

    def get_pool(self) -> urllib3.PoolManager:
        """Return connections that trust the certificates that the file has now.

        Raises:
            ServingError: The file of the certificates cannot be read.
        """
        if self._ca_file is None:
            return self._pool
        try:
            version = self._ca_file.stat().st_mtime_ns
        except OSError as error:
            raise _unreadable("CA certificate", self._ca_file, error) from error
        if version != self._version:
            self._pool, self._version = _make_pool(self._ca_file), version
        return self._pool


def _make_pool(ca_file: Path | None) -> urllib3.PoolManager:
    return make_pool(
        connect_seconds=_CONNECT_SECONDS,
        read_seconds=_READ_SECONDS,
        retries=_RETRIES,
        backoff_seconds=_BACKOFF_SECONDS,
        methods=None,
        statuses=(503,),
        ca_file=ca_file,
    )


def _unreadable(what: str, file: object, error: Exception) -> ServingError:
    reason = getattr(error, "strerror", None) or "it is not ASCII text"
    return ServingError(f"cannot read the {what} {file} ({reason}): correct the path")
