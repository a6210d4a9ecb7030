"""What a KFP backend did not do, in one line that says why and what to do."""

import json

import kfp_server_api as api

from skyclass.errors import SkyclassError

_LONGEST_MESSAGE = 300


class BackendError(SkyclassError):
    """A KFP backend did not do what was asked of it."""


class NotFoundError(BackendError):
    """The backend knows no such thing."""


class UnavailableError(BackendError):
    """The backend does not answer, or says that it cannot at the moment."""


def silence(host: str, error: Exception) -> UnavailableError:
    """Explain that nobody answers."""
    reason = type(getattr(error, "reason", error)).__name__
    return UnavailableError(
        f"no KFP answers at {host} ({reason}): check --host, or forward a port to it "
        "(`kubectl -n kubeflow port-forward service/ml-pipeline-ui 8080:80`)"
    )


def stranger(host: str) -> BackendError:
    """Explain that somebody else answers."""
    return BackendError(
        f"{host} answers, but not as KFP's API does: check --host, and whether it wants a login "
        "(KF_PIPELINES_SA_TOKEN_PATH names a file with a token)"
    )


def refusal(host: str, error: api.ApiException) -> BackendError:
    """Explain an answer that is an error."""
    message = _message(error)
    said = f"{error.status}: {message}" if message else f"{error.status}"
    if error.status in (401, 403):
        return BackendError(
            f"KFP at {host} refuses ({said}): let KF_PIPELINES_SA_TOKEN_PATH name a file with a "
            "token that may do this"
        )
    if error.status >= 500:
        return UnavailableError(f"KFP at {host} failed ({said}): see its log, try again")
    if not message:
        return stranger(host)
    if error.status == 404:
        return NotFoundError(f"KFP at {host} finds nothing ({message}): check the names")
    return BackendError(f"KFP at {host} does not take this ({said}): correct it")


def one_line(text: str) -> str:
    """A message without line breaks, and not longer than people read."""
    words = " ".join(text.split())
    return words if len(words) <= _LONGEST_MESSAGE else f"{words[:_LONGEST_MESSAGE]}…"


def _message(error: api.ApiException) -> str:
    """What KFP says; empty when another server speaks."""
    try:
        said = json.loads(error.body)
        return one_line(said.get("message") or said["error"])
    except (TypeError, ValueError, KeyError, AttributeError):
        return ""
