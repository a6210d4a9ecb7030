"""Errors of a KFP backend, each one line with the cause and what to do."""

import json

import kfp_server_api as api

from skyclass.errors import SkyclassError, one_line
from skyclass.http import describe_failure
from skyclass.proxies import describe_proxy

_MAX_MESSAGE_CHARACTERS = 300


class BackendError(SkyclassError):
    """A KFP backend did not fulfil a request."""


class NotFoundError(BackendError):
    """The requested object does not exist on the backend."""


class UnavailableError(BackendError):
    """The backend is unreachable or temporarily unable to respond."""


def explain_connection_failure(host: str, error: Exception) -> UnavailableError:
    """Return the error for a backend that is unreachable or timed out."""
    reason = describe_failure(error)
    return UnavailableError(
        f"KFP at {host} is unreachable{describe_proxy(host)} ({reason}): check --host, or forward "
        "a port to it (`kubectl -n kubeflow port-forward service/ml-pipeline-ui 8080:80`)"
    )


def explain_foreign_response(host: str) -> BackendError:
    """Return the error for a response that is not KFP's, such as a login page."""
    return BackendError(
        f"{host} does not respond like KFP's API: check --host, and whether a login is required "
        "(set KF_PIPELINES_SA_TOKEN_PATH to a file with a token)"
    )


def explain_error_response(host: str, error: api.ApiException) -> BackendError:
    """Return the error for a response with an HTTP status of 400 or above."""
    message = _read_message(error)
    details = f"{error.status}: {message}" if message else f"{error.status}"
    if error.status in (401, 403):
        return BackendError(
            f"KFP at {host} denied access ({details}): set KF_PIPELINES_SA_TOKEN_PATH to a file "
            "with a token that has permission"
        )
    if error.status >= 500:
        return UnavailableError(f"KFP at {host} failed ({details}): check its log and retry")
    if not message:
        return explain_foreign_response(host)
    if error.status == 404:
        return NotFoundError(f"not found on KFP at {host} ({message}): check the names")
    return BackendError(f"KFP at {host} rejected the request ({details}): correct it")


def shorten_message(text: str) -> str:
    """Return a message of KFP's on one line, truncated."""
    return one_line(text, _MAX_MESSAGE_CHARACTERS)


def _read_message(error: api.ApiException) -> str:
    """Return the message in an error body; empty if the body is not KFP's."""
    try:
        body = json.loads(error.body)
        return shorten_message(body.get("message") or body["error"])
    except (TypeError, ValueError, KeyError, AttributeError):
        return ""
