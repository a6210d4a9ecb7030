"""The loop: drift in the log, the verdict, a training run, a new release that is served."""

import json
from datetime import UTC, datetime, timedelta

from skyclass.features import Mode
from skyclass.monitoring.windows import Window, read_window
from skyclass.store.releases import Registry
from skyclass.store.s3 import ObjectStore
from tests.cluster.chart import OBJECTS, Installation
from tests.cluster.kube import Shell, eventually

MODE = "photometric"
SERVICE = f"skyclass-{MODE}"
ADDRESS = f"http://{SERVICE}-predictor"
TIME = "%Y-%m-%dT%H:%M:%SZ"
ASK = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], sys.argv[2].encode() if sys.argv[2:] else None,
                                 {"Content-Type": "application/json"})
print(urllib.request.urlopen(request, timeout=60).read().decode())
"""


def test_drift_then_training_then_the_endpoint_serves_the_new_release(
    lively: Installation, caller: Shell
) -> None:
    namespace, before = lively.namespace, lively.release(MODE)
    # The next whole second: what the tests before this one asked lies before it.
    begun = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    eventually(lambda: datetime.now(UTC) >= begun, seconds=2, pause=0.1)
    objects = 600 * [  # fainter than any that it was trained on
        [value + by for value, by in zip(row, (3.0, 3.5, 3.0, 2.5, 2.0), strict=True)]
        for row in OBJECTS[MODE]
    ]
    body = json.dumps({"instances": objects})
    caller.python(ASK, f"{ADDRESS}/v1/models/{SERVICE}:predict", body)
    with lively.store() as settings:
        end = begun + timedelta(hours=1)
        window = Window(Mode(MODE), before, begun, end)
        store = ObjectStore(settings)
        eventually(lambda: read_window(store, window).accounting.rows_used == len(objects), 60)

    judged = []
    for _ in range(2):
        job = namespace.run_from(
            f"{lively.name}-drift-{MODE}",
            "drift", "--mode", MODE, "--start", f"{begun:{TIME}}", "--end", f"{end:{TIME}}",
        )  # fmt: skip
        assert namespace.finish(job), namespace.logs(job)
        with lively.store() as settings:
            store, bucket = ObjectStore(settings), settings.reports_bucket
            prefix = f"drift/{MODE}/{end:%Y%m%dT%H%M%S}Z/"
            judged.append({key: store.get(bucket, key) for key in store.keys(bucket, prefix)})
    assert judged[0] == judged[1], "judging a window again changed it"
    verdict = json.loads(judged[0][f"{prefix}verdict.json"])
    assert verdict["verdict"] == "drift", verdict["reason"]
    assert verdict["release"] == before

    job = lively.train(
        MODE,
        source_uri="simulated:?rows=12000&era=legacy,boss&seed=1",
        reason="drift",
        candidates="hist_gradient_boosting",
    )
    assert namespace.finish(job, 600), namespace.logs(job)

    after = lively.release(MODE)
    assert after != before, namespace.logs(job)
    with lively.store() as settings:
        promotion = Registry(ObjectStore(settings)).promotions(MODE)[-1]
    assert (promotion.from_release, promotion.to_release) == (before, after)
    assert promotion.reason.startswith("drift")
    assert json.loads(caller.python(ASK, f"{ADDRESS}/v2/models/{SERVICE}"))["versions"] == [after]
