"""The prediction log has every prediction once, and no request waits for it."""

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from skyclass.client import Client
from skyclass.local.s3_server import EmbeddedS3
from skyclass.monitoring.windows import Window, read_window
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import Release
from skyclass.survey.features import INPUTS, Mode, model_name
from skyclass.survey.observation import KEY
from skyclass.tables.log.read import read_log
from skyclass.tables.log.schema import LOG_SCHEMA, PROBABILITIES
from tests.support.grpc_calls import connected
from tests.support.predictor import Site, eventually, publish, serving, simulated

pytestmark = pytest.mark.slow

MODE = Mode.SPECTROSCOPIC
V1 = "/v1/models/skyclass-spectroscopic:predict"
V2 = "/v2/models/skyclass-spectroscopic/infer"
HOUR = timedelta(hours=1)
NEVER = 3600


def logged(site: Site, release: Release) -> pd.DataFrame:
    now = datetime.now(UTC)
    return read_log(site.store, now - HOUR, now + HOUR, MODE, release.id).rows


def test_a_row_has_inputs_and_prediction(site: Site, tmp_path: Path) -> None:
    release = publish(site, tmp_path / "files", MODE, seed=2)
    address = f"s3://{site.settings.models_bucket}/{release.prefix}"
    rows = simulated(50).assign(plate=lambda table: table["plate"].where(table.index % 2 == 0))
    with serving(site, MODE, address, tmp_path / "log", log_flush_seconds=NEVER) as server:
        predictions = Client(server.url, MODE).classify(rows)
        assert server.metric("skyclass_log_queue_rows") == 50
        assert logged(site, release).empty
        assert server.stop() == 0

    found = logged(site, release).sort_values("row", ignore_index=True)
    assert list(found.columns) == LOG_SCHEMA.names
    assert found["row"].tolist() == list(range(50))
    assert set(found["mode"]) == {MODE}
    assert found["request_id"].nunique() == found["prediction_id"].nunique() == 1
    assert ((datetime.now(UTC) - found["time"]) < HOUR).all()
    names = list(INPUTS[MODE])
    pd.testing.assert_frame_equal(found[names], rows[names].reset_index(drop=True))
    same = ["predicted", *PROBABILITIES, "model_version"]
    pd.testing.assert_frame_equal(found[same], predictions[same].reset_index(drop=True))
    keyed = rows[list(KEY)].where(rows["plate"].notna()).reset_index(drop=True)
    pd.testing.assert_frame_equal(found[list(KEY)], keyed, check_dtype=False)


def test_requests_succeed_while_the_object_store_is_unreachable(tmp_path: Path) -> None:
    instances = simulated(30)[list(INPUTS[MODE])].to_numpy().tolist()
    with ExitStack() as stack:
        with EmbeddedS3(tmp_path / "s3") as access:
            site = Site.make(access, tmp_path / "home")
            release = publish(site, tmp_path / "files", MODE, seed=3)
            LocalChampionStore(site.store).promote(release, "for a test", "test")
            settings = {"log_flush_seconds": 0.2, "log_queue_rows": 40, "follow_seconds": 0.2}
            server = stack.enter_context(
                serving(site, MODE, None, tmp_path / "log", **settings),
            )

        server.predict(instances)
        eventually(lambda: "cannot write the prediction log" in server.log, 20)
        eventually(lambda: "stays in service" in server.log, 20)
        server.predict(instances)  # 60 rows do not fit 40: the second 30 are dropped
        server.predict(instances[:10])
        assert server.metric('skyclass_log_rows_total{outcome="dropped"}') == 30
        assert server.metric("skyclass_log_queue_rows") == 40

        port = int(access.endpoint_url.rsplit(":", 1)[1])
        with EmbeddedS3(tmp_path / "s3", port):
            written = 'skyclass_log_rows_total{outcome="written"}'
            eventually(lambda: server.metric(written) == 40, 60)
            assert len(logged(site, release)) == 40
            assert server.log.count("cannot write the prediction log") == 1, "logged at each retry"

        server.predict(instances[:3])
        assert server.stop() == 0
        assert "3 rows of the prediction log could not be written" in server.log


def tensor(rows: list[list[float]]) -> dict[str, Any]:
    return {"name": "x", "shape": [len(rows), 6], "datatype": "FP64", "data": rows}


def test_the_drift_job_uses_every_row_of_requests_that_share_an_id(
    site: Site, tmp_path: Path
) -> None:
    release = publish(site, tmp_path / "files", MODE, seed=5)
    address = f"s3://{site.settings.models_bucket}/{release.prefix}"
    rows = simulated(1200)[list(INPUTS[MODE])].to_numpy().tolist()
    batches = [rows[start : start + 100] for start in range(0, 1200, 100)]
    for log in ("first", "second"):  # two starts of the server
        with serving(site, MODE, address, tmp_path / log, log_flush_seconds=NEVER) as server:
            for batch in batches[: len(batches) // 2]:
                server.request("POST", V1, {"instances": batch}, {"X-Request-Id": "42"})
            for batch in batches[len(batches) // 2 :]:
                server.request("POST", V2, {"id": "42", "inputs": [tensor(batch)]})
            assert server.stop() == 0

    assert set(logged(site, release)["request_id"]) == {"42"}
    now = datetime.now(UTC)
    found = read_window(site.store, Window(MODE, release.id, now - HOUR, now + HOUR)).accounting
    assert (found.rows_in, found.rows_used, found.duplicates) == (2400, 2400, 0)


def test_the_drift_job_counts_a_retried_request_once(site: Site, tmp_path: Path) -> None:
    release = publish(site, tmp_path / "files", MODE, seed=6)
    address = f"s3://{site.settings.models_bucket}/{release.prefix}"
    batch = simulated(10)[list(INPUTS[MODE])].to_numpy().tolist()
    key = {"Idempotency-Key": "the-request"}
    with serving(site, MODE, address, tmp_path / "log", log_flush_seconds=NEVER) as server:
        server.request("POST", V1, {"instances": batch}, key)
        server.request("POST", V2, {"inputs": [tensor(batch)]}, key)
        with connected(server.grpc) as stub:
            contents = {"fp64_contents": [value for row in batch for value in row]}
            typed = {"name": "x", "shape": [10, 6], "datatype": "FP64", "contents": contents}
            request = pb.ModelInferRequest(model_name=model_name(MODE), inputs=[typed])
            stub.ModelInfer(request, metadata=[("idempotency-key", "the-request")])
        assert server.stop() == 0

    now = datetime.now(UTC)
    found = read_window(site.store, Window(MODE, release.id, now - HOUR, now + HOUR)).accounting
    assert (found.rows_in, found.rows_used, found.duplicates) == (30, 10, 20)


def test_rows_are_written_while_the_server_runs(site: Site, tmp_path: Path) -> None:
    release = publish(site, tmp_path / "files", MODE, seed=4)
    address = f"s3://{site.settings.models_bucket}/{release.prefix}"
    with serving(site, MODE, address, tmp_path / "log", log_flush_seconds=0.2) as server:
        server.predict(simulated(7)[list(INPUTS[MODE])].to_numpy().tolist())
        eventually(lambda: len(logged(site, release)) == 7, 20)
