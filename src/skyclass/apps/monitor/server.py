"""HTTP server of the monitor pages."""

from datetime import timedelta

from skyclass.apps.monitor.app import make_app
from skyclass.apps.monitor.state import StateReader
from skyclass.apps.web_server import Address, run
from skyclass.promotion.champions import open_champion_store
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore


def serve(settings: Settings, address: Address) -> None:
    """Serve the monitor pages until SIGTERM or SIGINT.

    Args:
        settings: The object store.
        address: Where they are served.

    Raises:
        ServingError: A port is in use.
    """
    reader = StateReader(ObjectStore(settings), open_champion_store(settings))
    period = timedelta(hours=settings.drift_period_hours)
    run(make_app(reader, drift_period=period, has_login=address.has_login), address)
