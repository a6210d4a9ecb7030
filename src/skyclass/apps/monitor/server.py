"""Serves the monitor page."""

import uvicorn

from skyclass.apps.monitor.app import make_app
from skyclass.apps.monitor.reading import Reader
from skyclass.promotion.champions import open_champion_store
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore

LOOPBACK = "127.0.0.1"


def serve(settings: Settings, host: str = LOOPBACK, port: int = 8000, root_path: str = "") -> None:
    """Serve the monitor page until it is told to stop.

    Args:
        settings: Where the object store is.
        host: Which interface to listen on.
        port: Where to listen.
        root_path: The path that a proxy puts the page below, if one does.
    """
    app = make_app(Reader(ObjectStore(settings), open_champion_store(settings)))
    uvicorn.run(
        app,
        host=host,
        port=port,
        root_path=root_path,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
