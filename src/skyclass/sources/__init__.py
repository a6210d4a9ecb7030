"""Where observations come from, chosen by URI."""

from collections.abc import Callable
from pathlib import Path

from skyclass.errors import CatalogError
from skyclass.sources.base import Batch, Source
from skyclass.sources.files import FileSource
from skyclass.sources.simulated import SimulatedSource
from skyclass.sources.skyserver.source import Ask, SkyServerSource

__all__ = ["Ask", "Batch", "Fetch", "Source", "open_source"]

Fetch = Callable[[str], Path]
"""Brings a remote file (http, https or s3 URI) to this machine and says where it lies."""


def offline(release: str, query: str) -> bytes:
    """Where nobody may ask SkyServer."""
    raise CatalogError(f"SkyServer is not asked for {release} here: use `skyclass ingest`")


def open_source(uri: str, fetch: Fetch, ask: Ask = offline) -> Source:
    """Open the source that a URI names.

    Args:
        uri: `simulated:?rows=…&era=…&seed=…`, `skyserver:?release=…&mjd=…`, the path of a CSV or
            Parquet file, or the http(s):// or s3:// address of one.
        fetch: Called for addresses of remote files.
        ask: Called for queries to SkyServer.

    Raises:
        CatalogError: The URI names nothing that can be read.
    """
    if uri.startswith("simulated:"):
        return SimulatedSource.from_uri(uri)
    if uri.startswith("skyserver:"):
        return SkyServerSource.from_uri(uri, ask)
    if uri.startswith(("http://", "https://", "s3://")):
        return FileSource(fetch(uri), name=uri)
    return FileSource(Path(uri.removeprefix("file://")), name=uri)
