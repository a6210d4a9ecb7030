"""The monitor page over a fortnight of monitoring."""

from collections.abc import Callable, Iterator

import pytest
from starlette.testclient import TestClient

from skyclass.apps.monitor.app import make_app
from skyclass.apps.monitor.reading import Reader
from skyclass.monitoring.drift import VERDICT, report_prefix
from skyclass.monitoring.verdict import Verdict
from skyclass.promotion.local import LocalChampionStore
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.monitoring import END, verdict_of
from tests.support.world import NOW


@pytest.fixture(scope="session")
def page(world: ObjectStore) -> Iterator[TestClient]:
    """The monitor page of that world, nine hours after its newest window."""
    with TestClient(make_app(Reader(world, LocalChampionStore(world)), lambda: NOW)) as client:
        yield client


@pytest.fixture
def judged() -> Callable[[ObjectStore], None]:
    """Leaves a verdict on a release that nobody has published."""

    def leave(store: ObjectStore) -> None:
        key = report_prefix(Mode.SPECTROSCOPIC, END) + VERDICT
        data = verdict_of(Verdict.NO_DRIFT, "a" * 64, END).to_bytes()
        store.put(store.settings.reports_bucket, key, data, "application/json")

    return leave
