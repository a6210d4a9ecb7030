"""The monitor page while the object store is down, and afterwards."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from skyclass.apps.monitor.app import make_app
from skyclass.apps.monitor.state import StateReader
from skyclass.local.s3_server import Access
from skyclass.promotion.local import LocalChampionStore
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.observation import Era
from tests.support.fault_proxy import run_fault_proxy
from tests.support.faults.history import History
from tests.support.monitoring import draw_observations, publish_reference


@pytest.mark.fault("store-down-at-start")
def test_page_names_the_store_that_is_down_and_shows_the_champion_once_it_is_up(
    s3: Access, store: ObjectStore, history: History, tmp_path: Path
) -> None:
    observations = draw_observations(Era.LEGACY, 300, seed=1)
    release = publish_reference(LocalChampionStore(store), tmp_path, observations)
    history.acknowledge(release.id)
    with run_fault_proxy(s3.endpoint_url) as proxy:
        proxy.stop()
        changes = {"endpoint_url": proxy.get_url(), "s3_retries": 0, "s3_connect_seconds": 1}
        through_proxy = ObjectStore(store.settings.model_copy(update=changes))
        reader = StateReader(through_proxy, LocalChampionStore(through_proxy))
        with TestClient(make_app(reader)) as client:
            response = client.get("/spectroscopic/releases")
            assert "is unreachable" in response.text
            assert "Traceback" not in response.text
            assert client.get("/healthz").status_code == 200
            history.fire("the page shows that the object store is unreachable")
            proxy.start()
            with history.recovery():
                page = client.get("/spectroscopic/releases")
            assert page.status_code == 200
            history.find([release.id] if release.id[:12] in page.text else [])
