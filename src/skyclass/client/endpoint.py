"""Requests to a predictor, and their errors."""

import json
import uuid
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import urllib3

from skyclass.client.credentials import Credentials
from skyclass.errors import ServingError
from skyclass.http import describe_failure
from skyclass.proxies import describe_proxy
from skyclass.survey.features import Mode
from skyclass.urls import omit_credentials

T = TypeVar("T")


class TooLargeError(ServingError):
    """The request exceeds a limit of the predictor (413)."""


class Endpoint:
    """The predictor at a URL.

    Attributes:
        url: Its URL, without a path.
    """

    def __init__(self, url: str, mode: Mode, token: str | Path | None, ca_file: Path | None):
        """Remember where the predictor is; nothing is contacted yet. For arguments see `Client`."""
        self.url = omit_credentials(url).rstrip("/")
        self._mode = mode
        self._credentials = Credentials(token, ca_file)

    def request(
        self,
        method: str,
        path: str,
        kind: type[T],
        content: Any = None,
        retries: bool | None = None,
    ) -> T:
        """Send a request.

        Args:
            method: HTTP method.
            path: Path of the URL.
            kind: msgspec type of the response.
            content: JSON value of the body; None for no body.
            retries: False sends the request once; None retries connection errors and 503.

        Raises:
            TooLargeError: The request exceeds a limit of the predictor.
            ServingError: The predictor is unreachable, rejected the request, or is none.
        """
        response = self._send(method, path, content, retries)
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise ServingError(
                f"{self.url} returned status {response.status} and no JSON object: "
                "check that it is the URL of a predictor"
            )
        if response.status in (401, 403):
            raise ServingError(
                f"{self.url} rejected the request ({response.status}: {body.get('error')}): pass "
                "a bearer token that it accepts, and its https URL if it requires TLS"
            )
        if response.status != 200:
            error = TooLargeError if response.status == 413 else ServingError
            raise error(str(body.get("error", f"status {response.status}")))
        try:
            return msgspec.convert(body, kind)
        except msgspec.ValidationError as error:
            raise ServingError(
                f"{self.url}{path} returned no response of a predictor ({error}): check that it is "
                "the URL of a predictor"
            ) from error

    def _send(
        self, method: str, path: str, content: Any, retries: bool | None
    ) -> urllib3.BaseHTTPResponse:
        request_id = str(uuid.uuid4())  # predictors of version 0.1.0 know only X-Request-Id
        pool, authorization = self._credentials.get_pool(), self._credentials.make_headers()
        try:
            return pool.request(
                method,
                self.url + path,
                body=None if content is None else json.dumps(content),
                headers={
                    "Content-Type": "application/json",
                    "X-Request-Id": request_id,
                    "Idempotency-Key": request_id,
                    **authorization,
                },
                retries=retries,
            )
        except urllib3.exceptions.HTTPError as error:
            reason = describe_failure(error)
            if isinstance(getattr(error, "reason", error), urllib3.exceptions.SSLError):
                raise ServingError(
                    f"no TLS connection to {self.url} ({reason}): pass the CA "
                    "certificate of the predictor, or correct the URL"
                ) from error
            raise ServingError(
                f"the predictor at {self.url} is unreachable{describe_proxy(self.url)} "
                f"({reason}): "
                f"start it with `skyclass serve --mode {self._mode}`, or correct the URL"
            ) from error
