"""Where observations come from, chosen by URI."""

from collections.abc import Callable
from pathlib import Path

from skyclass.catalog.sources.base import Batch, Source
from skyclass.catalog.sources.files import FileSource
from skyclass.catalog.sources.simulated import SimulatedSource

__all__ = ["Batch", "Fetch", "Source", "open_source"]

Fetch = Callable[[str], Path]
"""Brings a remote file (http, https or s3 URI) to this machine and says where it lies."""


def open_source(uri: str, fetch: Fetch) -> Source:
    """Open the source that a URI names.

    Args:
        uri: `simulated:?rows=…&era=…&seed=…`, the path of a CSV or Parquet file, or the
            http(s):// or s3:// address of one.
        fetch: Called for addresses of remote files.

    Raises:
        CatalogError: The URI names nothing that can be read.
    """
    if uri.startswith("simulated:"):
        return SimulatedSource.from_uri(uri)
    if uri.startswith(("http://", "https://", "s3://")):
        return FileSource(fetch(uri), name=uri)
    return FileSource(Path(uri.removeprefix("file://")), name=uri)
