"""Client of SkyServer that keeps to its rate limit and caches responses in the object store."""

import hashlib
import logging
import random
import time
from dataclasses import dataclass, field
from importlib import metadata

import urllib3

from skyclass.errors import CatalogError
from skyclass.http import describe_failure, make_pool
from skyclass.proxies import describe_proxy
from skyclass.sources.skyserver.responses import ResponseError, find_error, parse_table
from skyclass.storage.s3 import ObjectMissingError, ObjectStore

logger = logging.getLogger(__name__)

CACHE_PREFIX = "skyserver"

MIN_INTERVAL_SECONDS = 1.0
"""Time between two queries; the server accepts 60 a minute."""
BACKOFF_SECONDS = (5.0, 10.0, 20.0, 40.0)
"""Wait before each retry; together longer than the minute of the rate limit."""
CONNECT_SECONDS = 10.0
READ_SECONDS = 180.0

_PATH = "SkyServerWS/SearchTools/SqlSearch"


@dataclass
class SkyServerClient:
    """Sends SQL queries to the survey's database.

    Attributes:
        store: Object store for the cache; its settings hold SkyServer's URL.
    """

    store: ObjectStore
    _not_before: float = field(default=0.0, init=False)

    def query(self, data_release: str, sql: str) -> bytes:
        """Run a query, or return its cached response.

        A response is cached before it is used, since a data release does not change. An empty
        response is not cached.

        Args:
            data_release: Data release, such as DR17.
            sql: One SELECT statement.

        Returns:
            A complete CSV table, which may have no rows.

        Raises:
            CatalogError: SkyServer returned an error after all retries.
            StoreError: The object store failed.
        """
        settings = self.store.settings
        url = f"{settings.skyserver_url.rstrip('/')}/{data_release.lower()}/{_PATH}"
        name = hashlib.sha256(f"{url} {sql}".encode()).hexdigest()[:32]
        key = f"{CACHE_PREFIX}/{data_release.lower()}/{name}.csv"
        try:
            return self.store.get(settings.data_bucket, key)
        except ObjectMissingError:
            response = self._request_with_retries(url, sql)
        if parse_table(response).num_rows:
            self.store.put(settings.data_bucket, key, response, "text/csv")
        return response

    def _request_with_retries(self, url: str, sql: str) -> bytes:
        backoffs = iter(BACKOFF_SECONDS)
        while isinstance(response := self._request(url, sql), ResponseError):
            backoff = next(backoffs, None)
            reason = response.reason
            if not response.is_temporary:
                raise CatalogError(f"{url} returned {reason}: correct the source URI")
            if backoff is None:
                raise CatalogError(
                    f"{url} returned {reason}: try again later; committed rows are kept"
                )
            logger.warning("%s returned %s, retrying in %.0f s", url, reason, backoff)
            # Jitter keeps clients that were throttled together from retrying together.
            self._not_before = time.monotonic() + backoff * random.uniform(1, 1.5)  # noqa: S311
        return response

    def _request(self, url: str, sql: str) -> bytes | ResponseError:
        time.sleep(max(0.0, self._not_before - time.monotonic()))
        agent = f"skyclass/{metadata.version('skyclass')} {self.store.settings.skyserver_contact}"
        try:
            with make_pool(connect_seconds=CONNECT_SECONDS, read_seconds=READ_SECONDS) as pool:
                response = pool.request(
                    "GET",
                    url,
                    fields={"cmd": sql, "format": "csv"},
                    headers={"User-Agent": agent.strip()},
                )
        except urllib3.exceptions.HTTPError as error:
            reason = f"no response{describe_proxy(url)} ({describe_failure(error)})"
            return ResponseError(reason, is_temporary=True)
        finally:
            self._not_before = time.monotonic() + MIN_INTERVAL_SECONDS
        return find_error(response.status, response.data) or response.data
