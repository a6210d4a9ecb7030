"""HTTP clients: one place for timeouts, retries and backoff."""

import urllib3
from urllib3.util import Retry, Timeout

TEMPORARY_STATUSES = (429, 500, 502, 503, 504)
"""Statuses after which the same request may succeed."""


def make_retry(
    retries: int,
    backoff_seconds: float,
    methods: tuple[str, ...] | None,
    statuses: tuple[int, ...] = TEMPORARY_STATUSES,
) -> Retry:
    """Return a retry policy with exponential backoff.

    The last response is returned, not raised, and a `Retry-After` header is ignored: a server must
    not set our deadline.

    Args:
        retries: Further attempts after the first.
        backoff_seconds: Wait before the second retry; it doubles with each further one.
        methods: HTTP methods that are safe to repeat; None for all.
        statuses: HTTP statuses after which the request is repeated.
    """
    return Retry(
        total=retries,
        backoff_factor=backoff_seconds,
        status_forcelist=statuses,
        allowed_methods=methods,
        raise_on_status=False,
        respect_retry_after_header=False,
    )


def make_pool(
    *,
    connect_seconds: float,
    read_seconds: float,
    retries: int = 0,
    backoff_seconds: float = 0.25,
    methods: tuple[str, ...] | None = ("GET", "HEAD"),
    statuses: tuple[int, ...] = TEMPORARY_STATUSES,
) -> urllib3.PoolManager:
    """Return a connection pool in which every request ends in bounded time.

    Args:
        connect_seconds: Timeout of a connection attempt.
        read_seconds: Timeout of each read from the server.
        retries: Further attempts after a connection error or a temporary status; 0 for none.
        backoff_seconds: Wait before the second retry; it doubles with each further one.
        methods: HTTP methods that are safe to repeat; None for all.
        statuses: HTTP statuses after which the request is repeated.
    """
    return urllib3.PoolManager(
        timeout=Timeout(connect=connect_seconds, read=read_seconds),
        retries=make_retry(retries, backoff_seconds, methods, statuses) if retries else False,
    )
