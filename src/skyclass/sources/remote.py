"""Brings remote files to this machine, whole or not at all."""

import hashlib
import shutil
from pathlib import Path, PurePosixPath

import urllib3
from urllib3.util import Retry, Timeout

from skyclass.errors import CatalogError
from skyclass.storage.s3 import ObjectStore, split_uri

_HTTP_TIMEOUT = Timeout(connect=5, read=30)
_HTTP_RETRIES = Retry(
    total=3,
    backoff_factor=0.5,
    status_forcelist=(429, 500, 502, 503, 504),
    respect_retry_after_header=False,  # a server must not choose our deadline
)


def fetch(uri: str, store: ObjectStore) -> Path:
    """Copy the file at an http(s):// or s3:// address below the home folder.

    Args:
        uri: The address.
        store: Serves s3:// addresses.

    Returns:
        The copy's path; its suffix is the address's.

    Raises:
        CatalogError: The web server does not answer, or not with the file.
        StoreError: The object store does not have it.
    """
    folder = store.settings.home / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(uri.encode()).hexdigest()[:16]
    path = folder / (name + PurePosixPath(uri.partition("?")[0]).suffix)
    part = folder / f"{name}.part"
    if uri.startswith("s3://"):
        store.download(*split_uri(uri), part)
    else:
        _download(uri, part)
    part.replace(path)
    return path


def _download(uri: str, path: Path) -> None:
    pool = urllib3.PoolManager(timeout=_HTTP_TIMEOUT, retries=_HTTP_RETRIES)
    try:
        with pool.request("GET", uri, preload_content=False) as response, path.open("wb") as file:
            if response.status != 200:
                raise CatalogError(f"{uri}: the server answered {response.status}: check the link")
            shutil.copyfileobj(response, file)
    except urllib3.exceptions.HTTPError as error:
        raise CatalogError(
            f"{uri}: the server does not answer ({type(error).__name__}): try again later"
        ) from error
