"""URLs as they are compared (schemes in lower case), and as they are shown (no credentials)."""

import re
from urllib.parse import parse_qsl

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

_SCHEME = re.compile(r"((file|https?|s3)://|(simulated|skyserver|table):)", re.IGNORECASE)
_SECRET_PARAMETERS = {
    "access_token", "api_key", "apikey", "auth", "auth_token", "client_secret", "passwd",
    "password", "private_token", "secret", "sig", "signature", "token", "x-amz-security-token",
    "x-amz-signature", "x-goog-signature",
}  # fmt: skip
"""Parameters of signed URLs and of web services, in lower case."""


def normalize_scheme(uri: str) -> str:
    """Return a URI with its scheme in lower case: schemes are case-insensitive (RFC 3986).

    Examples:
        >>> normalize_scheme("HTTPS://example.org/A.csv"), normalize_scheme("Survey:A.csv")
        ('https://example.org/A.csv', 'Survey:A.csv')
    """
    found = _SCHEME.match(uri)
    return found[0].lower() + uri[found.end() :] if found else uri


def parse(url: str) -> Url:
    """Return the parts of a URL; none if it is malformed."""
    try:
        return parse_url(url)
    except LocationParseError:
        return Url()


def find_credential(url: str) -> str | None:
    """Return what in a URL is a credential, such as `the parameter sig`, or None."""
    parts = parse(url)
    if parts.auth:
        return "a user"
    for name, _ in parse_qsl(parts.query or ""):
        if name.lower() in _SECRET_PARAMETERS:
            return f"the parameter {name}"
    return None


def omit_credentials(url: str) -> str:
    """Return a URL for errors, logs and links.

    A URL with credentials is reduced to its scheme, host and path, because its other parts may
    contain more of them. A malformed URL loses its query, or becomes "…" if it has an "@", because
    that may follow a password.

    Examples:
        >>> omit_credentials("https://vera:secret@example.org/a.csv?id=7")
        'https://example.org/a.csv'
        >>> omit_credentials("https://example.org/a.csv?id=7")
        'https://example.org/a.csv?id=7'
        >>> omit_credentials("https://vera:secret@[::1/a.csv")
        '…'
    """
    parts = parse(url)
    if not parts.host:
        return "…" if "@" in url else url.partition("?")[0]
    if find_credential(url) is None:
        return url
    return parts._replace(auth=None, query=None, fragment=None).url
