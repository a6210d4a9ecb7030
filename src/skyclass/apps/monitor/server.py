"""HTTP server of the monitor pages."""

from datetime import timedelta

import uvicorn

from skyclass.apps.monitor.app import make_app
from skyclass.apps.monitor.state import StateReader
from skyclass.promotion.champions import open_champion_store
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore

LOOPBACK = "127.0.0.1"


def serve(settings: Settings, host: str = LOOPBACK, port: int = 8000, root_path: str = "") -> None:
    """Serve the monitor pages until the process is stopped.

    Args:
        settings: The object store.
        host: Interface to listen on.
        port: Port to listen on.
        root_path: Path prefix that a reverse proxy strips.
    """
    reader = StateReader(ObjectStore(settings), open_champion_store(settings))
    app = make_app(reader, drift_period=timedelta(hours=settings.drift_period_hours))
    uvicorn.run(
        app,
        host=host,
        port=port,
        root_path=root_path,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
