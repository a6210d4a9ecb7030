"""A running server hot-reloads the champion, and never serves a damaged release."""

import json
import threading
from pathlib import Path

import pytest

from skyclass.client import Client
from skyclass.promotion.events import PromotionLog
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import JOBLIB_MODEL, Release
from skyclass.survey.features import INPUTS, Mode
from tests.support.predictor import ServerProcess, Site, eventually, publish, serving, simulated

pytestmark = pytest.mark.slow

MODE = Mode.PHOTOMETRIC
INSTANCES = simulated(3)[list(INPUTS[MODE])].to_numpy().tolist()


def status_of_version(server: ServerProcess, version: str) -> int:
    """Return the status of a V2 request that names the version."""
    tensor = {"name": "x", "shape": [3, 5], "datatype": "FP64", "data": INSTANCES}
    path = f"/v2/models/skyclass-photometric/versions/{version}/infer"
    response = server.request("POST", path, {"inputs": [tensor]})
    if response.status == 200:
        assert response.json()["model_version"] == version
    return response.status


def test_a_promotion_is_hot_reloaded_and_a_damaged_release_is_not(
    site: Site, tmp_path: Path
) -> None:
    first, second, third = (publish(site, tmp_path / str(seed), MODE, seed) for seed in range(3))
    model = (tmp_path / "2" / JOBLIB_MODEL).read_bytes()
    damaged = bytes([model[0] ^ 1]) + model[1:]

    def put(data: bytes) -> None:
        bucket, key = site.settings.models_bucket, third.prefix + JOBLIB_MODEL
        site.store.put(bucket, key, data, "application/octet-stream")

    LocalChampionStore(site.store).promote(first, "the first", "test")
    with serving(site, MODE, None, tmp_path / "log", follow_seconds=0.1) as server:
        client = Client(server.url, MODE)
        assert client.model_version() == first.id
        seen: list[str] = []
        ended = threading.Event()

        def send_requests() -> None:
            while not ended.is_set():
                seen.append(json.dumps(server.predict(INSTANCES, MODE)))

        def wait_until_served(release: Release) -> None:
            """Wait until the caller, too, has a response of the release."""
            eventually(lambda: seen and json.loads(seen[-1])["model_version"] == release.id, 30)

        caller = threading.Thread(target=send_requests)
        caller.start()
        try:
            wait_until_served(first)
            assert status_of_version(server, first.id) == 200
            LocalChampionStore(site.store).promote(second, "better", "test")
            wait_until_served(second)
            assert status_of_version(server, second.id) == 200
            assert status_of_version(server, first.id) == 404
            put(damaged)
            # As by a tool without checks: `promote` rejects a damaged release.
            PromotionLog(site.store).append(MODE, second.id, third.id, "better still", "test")
            eventually(lambda: f"{JOBLIB_MODEL}: {len(model)} bytes with digest" in server.log, 30)
            assert client.model_version() == second.id
            put(model)
            wait_until_served(third)
            LocalChampionStore(site.store).promote(first, "rolled back", "test")
            wait_until_served(first)
        finally:
            ended.set()
            caller.join()
        assert server.log.count("do not serve it") == 1, "logged at every poll"
        assert server.stop() == 0

    versions = [json.loads(text)["model_version"] for text in seen]
    changes = [
        after for before, after in zip([None, *versions], versions, strict=False) if before != after
    ]
    assert changes == [first.id, second.id, third.id, first.id]
    assert len(set(seen)) == 3, "one release returned different predictions"
