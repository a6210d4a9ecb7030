"""HTTP: one place for the timeouts, retries, backoff and proxies of clients, and idle servers."""

from pathlib import Path
from typing import Any

import urllib3
from urllib3.exceptions import MaxRetryError, SSLError
from urllib3.util import Retry, Timeout

from skyclass.errors import one_line
from skyclass.proxies import find_proxy, make_proxy_headers

TEMPORARY_STATUSES = (429, 500, 502, 503, 504)
"""Statuses after which the same request may succeed."""

KEEP_ALIVE_SECONDS = 120
"""Idle time after which our servers close a connection. It is longer than proxies and clients keep
one (nginx 60 s, Go 90 s): they close it first, and send no request that the server would abort."""

_MAX_IDLE_CONNECTIONS = 16
"""Connections to a host that are kept for the next requests of as many threads."""


def describe_failure(error: Exception) -> str:
    """Return why a request had no response: the kind of error, or why a certificate was rejected.

    Args:
        error: Error of urllib3, also the one that it raises after the last retry, or of a socket.
    """
    reason = error.reason if isinstance(error, MaxRetryError) else error
    return one_line(reason) if isinstance(reason, SSLError) else type(reason).__name__


def make_pool(
    *,
    connect_seconds: float,
    read_seconds: float,
    retries: int = 0,
    backoff_seconds: float = 0.25,
    methods: tuple[str, ...] | None = ("GET", "HEAD"),
    statuses: tuple[int, ...] = TEMPORARY_STATUSES,
    ca_file: Path | None = None,
) -> urllib3.PoolManager:
    """Return a connection pool in which every request ends in bounded time.

    Requests go through the proxy that the environment names for their URL. After the last attempt,
    the response is returned, whatever its status. A `Retry-After` header is ignored: a server must
    not set our deadline.

    Args:
        connect_seconds: Timeout of a connection attempt.
        read_seconds: Timeout of each read from the server.
        retries: Further attempts after a connection error or a temporary status; 0 for none.
        backoff_seconds: Wait before the second retry; it doubles with each further one.
        methods: HTTP methods that are safe to repeat; None for all.
        statuses: HTTP statuses after which the request is repeated.
        ca_file: PEM file with the CA certificates to trust; None for those of the system.
    """
    policy = Retry(
        total=retries,
        backoff_factor=backoff_seconds,
        status_forcelist=statuses,
        allowed_methods=methods,
        raise_on_status=False,
        respect_retry_after_header=False,
    )
    return _Pool(
        ca_certs=str(ca_file) if ca_file else None,
        maxsize=_MAX_IDLE_CONNECTIONS,
        timeout=Timeout(connect=connect_seconds, read=read_seconds),
        retries=policy if retries else False,
    )


class _Pool(urllib3.PoolManager):
    """Chooses a proxy for each request, also for each redirect."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._options = options
        self._proxies: dict[str, _ProxyPool] = {}

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = True, **options: Any
    ) -> urllib3.BaseHTTPResponse:
        proxy = find_proxy(url)
        if proxy is None:
            return super().urlopen(method, url, redirect, **options)
        if proxy not in self._proxies:
            self._proxies[proxy] = _ProxyPool(self, proxy, self._options)
        return self._proxies[proxy].urlopen(method, url, redirect, **options)

    def clear(self) -> None:
        super().clear()
        for pool in self._proxies.values():
            pool.clear()


class _ProxyPool(urllib3.ProxyManager):
    """Connections of a pool through one proxy."""

    def __init__(self, parent: _Pool, proxy: str, options: dict[str, Any]) -> None:
        super().__init__(proxy, proxy_headers=make_proxy_headers(proxy), **options)
        self._parent = parent
        self._url = proxy

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = True, **options: Any
    ) -> urllib3.BaseHTTPResponse:
        # urllib3 keeps the Host header of the first request in its redirects.
        headers = urllib3.HTTPHeaderDict(options.pop("headers", self.headers))
        headers.discard("Host")
        send = super().urlopen if find_proxy(url) == self._url else self._parent.urlopen
        return send(method, url, redirect, headers=headers, **options)
