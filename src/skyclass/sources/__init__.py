"""Sources of observations, selected by URI."""

from pathlib import Path

from skyclass.sources.base import Batch, Source
from skyclass.sources.files import FileSource
from skyclass.sources.remote import fetch
from skyclass.sources.simulated import SimulatedSource
from skyclass.sources.skyserver import SkyServerSource
from skyclass.storage.s3 import ObjectStore
from skyclass.tables.files import split_options
from skyclass.urls import normalize_scheme

__all__ = ["Batch", "FileSource", "SimulatedSource", "SkyServerSource", "Source", "open_source"]


def open_source(uri: str, store: ObjectStore) -> Source:
    """Return the source that a URI names.

    Args:
        uri: `simulated:?rows=…&era=…&seed=…`, `skyserver:?release=…&mjd=…`, the path of a file, or
            its http://, https:// or s3:// URL. Behind a file, `?encoding=…`, `?classes=…`,
            `?hdu=…` and `?z=…` say what it does not say about itself.
        store: Object store for s3:// URLs and for cached SkyServer responses. Its settings name
            the download folder and the SkyServer URL.

    Raises:
        CatalogError: The URI is malformed, or the file cannot be read.
        StoreError: The object store is unreachable or has no such object.
    """
    uri = normalize_scheme(uri)
    if uri.startswith("simulated:"):
        return SimulatedSource.from_uri(uri)
    if uri.startswith("skyserver:"):
        return SkyServerSource.from_uri(uri, store)
    address, options = split_options(uri)
    if address.startswith(("http://", "https://", "s3://")):
        return FileSource(fetch(address, store), uri, options)
    return FileSource(Path(address.removeprefix("file://")), uri, options)
