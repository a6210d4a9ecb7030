"""HTTP server of the monitor pages."""

from datetime import timedelta

from skyclass.apps.monitor.app import make_app
from skyclass.apps.monitor.state import StateReader
from skyclass.apps.web_server import LOOPBACK, run
from skyclass.promotion.champions import open_champion_store
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore


def serve(
    settings: Settings,
    host: str = LOOPBACK,
    port: int = 8000,
    root_path: str = "",
    probe_port: int | None = None,
    has_login: bool = False,
) -> None:
    """Serve the monitor pages until the process is stopped.

    Args:
        settings: The object store.
        host: Interface to listen on.
        port: Port to listen on.
        root_path: Path prefix that a reverse proxy adds.
        probe_port: Port of all interfaces for `/healthz` and `/metrics` only.
        has_login: Whether an oauth2-proxy, and nothing else, connects to `host`.
    """
    reader = StateReader(ObjectStore(settings), open_champion_store(settings))
    period = timedelta(hours=settings.drift_period_hours)
    app = make_app(reader, drift_period=period, has_login=has_login)
    run(app, host, port, root_path, probe_port)
