"""Download of remote files, complete or not at all."""

import hashlib
import shutil
from pathlib import Path, PurePosixPath

import urllib3

from skyclass.errors import CatalogError
from skyclass.http import describe_failure, make_pool
from skyclass.proxies import describe_proxy, get_host
from skyclass.storage.s3 import ObjectStore, split_uri
from skyclass.urls import find_credential, omit_credentials

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
RETRIES = 3
BACKOFF_SECONDS = 0.5


def fetch(uri: str, store: ObjectStore) -> Path:
    """Download the file at an http(s):// or s3:// URL to the home folder.

    Args:
        uri: URL of the file.
        store: Object store for s3:// URLs; its settings name the home folder.

    Returns:
        Path of the copy, with the suffixes of the URL.

    Raises:
        CatalogError: The web server is unreachable or has no such file, or the URL has credentials.
        StoreError: The object store is unreachable or has no such object.
    """
    folder = store.settings.home / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(uri.encode()).hexdigest()[:16]
    path = folder / (name + "".join(PurePosixPath(uri.partition("?")[0]).suffixes[-2:]))
    part = folder / f"{name}.part"
    if uri.startswith("s3://"):
        store.download(*split_uri(uri), part)
    else:
        _download(uri, part)
    part.replace(path)
    return path


def _reject_credentials(uri: str) -> None:
    """Reject a URL with credentials, because URLs are logged and stored with every row.

    Raises:
        CatalogError: It has a user, a signature or a token, or is malformed; the message does not
            repeat them.
    """
    if not get_host(uri):
        raise CatalogError(
            f"{omit_credentials(uri)}: the URL is malformed: correct its host and port"
        )
    if credential := find_credential(uri):
        raise CatalogError(
            f"{omit_credentials(uri)}: the URL contains {credential}, and URLs are stored with the "
            "rows: copy the file to the object store and use its s3:// URL"
        )


def _download(uri: str, path: Path) -> None:
    pool = make_pool(
        connect_seconds=CONNECT_SECONDS,
        read_seconds=READ_SECONDS,
        retries=RETRIES,
        backoff_seconds=BACKOFF_SECONDS,
    )
    try:
        _reject_credentials(uri)
        with pool.request("GET", uri, preload_content=False) as response, path.open("wb") as file:
            if response.status != 200:
                raise CatalogError(f"{uri}: HTTP status {response.status}: check the URL")
            shutil.copyfileobj(response, file)
    except urllib3.exceptions.HTTPError as error:
        raise CatalogError(
            f"{uri}: the web server is unreachable{describe_proxy(uri)} "
            f"({describe_failure(error)}): try again later"
        ) from error
