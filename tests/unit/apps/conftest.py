"""The monitor, over two weeks of monitoring and over an almost empty store."""

from collections.abc import Callable, Iterator

import pytest
from starlette.testclient import TestClient

from skyclass.apps.monitor.app import make_app
from skyclass.apps.monitor.state import StateReader
from skyclass.monitoring.documents import save_document
from skyclass.monitoring.verdict import Verdict
from skyclass.promotion.local import LocalChampionStore
from skyclass.storage.s3 import ObjectStore
from tests.support.monitoring import END, make_daily_verdict
from tests.support.world import NOW


@pytest.fixture(scope="session")
def page(world: ObjectStore) -> Iterator[TestClient]:
    """A client of the monitor, nine hours after the newest window."""
    with TestClient(make_app(StateReader(world, LocalChampionStore(world)), lambda: NOW)) as client:
        yield client


@pytest.fixture
def save_verdict() -> Callable[[ObjectStore], None]:
    """Stores a verdict on a release that has not been published."""

    def save(store: ObjectStore) -> None:
        save_document(store, make_daily_verdict(Verdict.NO_DRIFT, "a" * 64, END))

    return save
