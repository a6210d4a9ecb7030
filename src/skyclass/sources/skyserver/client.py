"""Asks SkyServer, politely: one query at a time, with pauses, and none twice."""

import hashlib
import logging
import random
import time
from dataclasses import dataclass, field
from importlib import metadata

import urllib3
from urllib3.util import Timeout

from skyclass.errors import CatalogError
from skyclass.sources.skyserver.responses import Refusal, read_table, refusal
from skyclass.storage.s3 import ObjectMissingError, ObjectStore

logger = logging.getLogger(__name__)

PREFIX = "skyserver"

PAUSE_SECONDS = 1.0
"""Between two queries; the server takes at most 60 a minute."""
BACKOFF_SECONDS = (5.0, 10.0, 20.0, 40.0)
"""Before each further try, together more than the minute that the server counts queries in."""

_TIMEOUT = Timeout(connect=10, read=180)
_PATH = "SkyServerWS/SearchTools/SqlSearch"


@dataclass
class SkyServer:
    """The survey's database, with the answers kept in the object store.

    Attributes:
        store: Keeps the answers; its settings say where SkyServer is.
    """

    store: ObjectStore
    _not_before: float = field(default=0.0, init=False)

    def ask(self, release: str, query: str) -> bytes:
        """Put an SQL query to a data release.

        An answer is kept before anything reads it, and given again when the same is asked: a data
        release does not change. An empty answer is not kept.

        Args:
            release: The data release, like DR17.
            query: One SELECT statement.

        Returns:
            A whole CSV table, which may have no rows.

        Raises:
            CatalogError: The server gives none; the message says what it gives instead.
            StoreError: The answer cannot be kept.
        """
        url = f"{self.store.settings.skyserver_url.rstrip('/')}/{release.lower()}/{_PATH}"
        name = hashlib.sha256(f"{url} {query}".encode()).hexdigest()[:32]
        bucket, key = self.store.settings.data_bucket, f"{PREFIX}/{release.lower()}/{name}.csv"
        try:
            return self.store.get(bucket, key)
        except ObjectMissingError:
            answer = self._ask_until_answered(url, query)
        if len(read_table(answer)):
            self.store.put(bucket, key, answer, "text/csv")
        return answer

    def _ask_until_answered(self, url: str, query: str) -> bytes:
        waits = iter(BACKOFF_SECONDS)
        while isinstance(said := self._request(url, query), Refusal):
            backoff = next(waits, None)
            if not said.temporary:
                raise CatalogError(f"{url} gives {said.reason}: correct the source's address")
            if backoff is None:
                raise CatalogError(f"{url} gives {said.reason}: nothing was lost, try again later")
            logger.warning("%s gives %s, asked again in %.0f s", url, said.reason, backoff)
            # Jitter, so that those who were refused together do not come back together.
            self._not_before = time.monotonic() + backoff * random.uniform(1, 1.5)  # noqa: S311
        return said

    def _request(self, url: str, query: str) -> bytes | Refusal:
        time.sleep(max(0.0, self._not_before - time.monotonic()))
        agent = f"skyclass/{metadata.version('skyclass')} {self.store.settings.skyserver_contact}"
        try:
            with urllib3.PoolManager(timeout=_TIMEOUT, retries=False) as pool:
                response = pool.request(
                    "GET",
                    url,
                    fields={"cmd": query, "format": "csv"},
                    headers={"User-Agent": agent.strip()},
                )
        except urllib3.exceptions.HTTPError as error:
            return Refusal(f"no answer ({type(error).__name__})", temporary=True)
        finally:
            self._not_before = time.monotonic() + PAUSE_SECONDS
        return refusal(response.status, response.data) or response.data
