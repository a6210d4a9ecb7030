"""A run of the committed training package, from ingestion to a served release."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from pipelines.compile import FOLDER
from skyclass.orchestration.package import DEFAULT_NAMES
from skyclass.registry.releases import Registry
from skyclass.registry.signatures import SIGNATURE
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.cluster.chart import Installation
from tests.support.cluster.kfp_run import ACCOUNT, PackageRun
from tests.support.cluster.kube import Namespace
from tests.support.cluster.receiver import Receiver, start_receiver
from tests.support.keys import make_key_pair

MODE = "photometric"
PROVISION = "app.kubernetes.io/component=provision"
MAX_PAGE_BYTES = 5_000_000
"""Size up to which KFP's user interface displays a page without delay."""


@pytest.fixture(scope="module")
def runs() -> Iterator[Namespace]:
    """Namespace of the run; it enforces Pod Security `restricted` as well."""
    with Namespace.create("runs") as namespace:
        namespace.kubectl("create", "serviceaccount", ACCOUNT)
        yield namespace


@pytest.fixture(scope="module")
def unserved(runs: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The chart with KFP and signature verification; no release is served yet."""
    keys = make_key_pair(tmp_path_factory.mktemp("signing") / "keys")
    runs.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": DEFAULT_NAMES.signing_secret},
            "stringData": {"private.pem": keys.private.read_text()},
        }
    )
    with Namespace.create("unserved") as namespace:
        installation = Installation(
            namespace,
            "skyclass",
            bootstrap__enabled=False,
            drift__enabled=False,
            monitor__enabled=False,
            predictPage__enabled=False,
            modes__spectroscopic__enabled=False,
            kfp__enabled=True,
            kfp__namespace=runs.name,
            signing__publicKey=keys.public.read_text(),
            signing__existingSecret=DEFAULT_NAMES.signing_secret,
            notifications__existingSecret=DEFAULT_NAMES.notification_secret,
            kfp__pages="https://kfp.example.org",
        )
        installation.install()
        (job,) = namespace.list_names("jobs", PROVISION)
        assert namespace.wait_for_job(job), namespace.read_logs(job)
        yield installation


@pytest.fixture(scope="module")
def receiver(unserved: Installation, runs: Namespace) -> Iterator[Receiver]:
    """A channel of the steps."""
    with start_receiver(unserved) as receiver:
        runs.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": DEFAULT_NAMES.notification_secret},
                "stringData": {"urls": receiver.url},
            }
        )
        yield receiver


def test_a_run_of_the_package_promotes_and_reports_a_signed_release(
    unserved: Installation, runs: Namespace, receiver: Receiver
) -> None:
    key, secret = unserved.read_keys("root")
    endpoint = f"http://{unserved.store}.{unserved.namespace.name}.svc:9000"
    (provision,) = unserved.namespace.get("jobs", "-l", PROVISION)["items"]
    pipeline, platform = yaml.safe_load_all((FOLDER / "training.yaml").read_text())
    run = PackageRun(
        runs,
        (pipeline, platform),
        image=provision["spec"]["template"]["spec"]["containers"][0]["image"],
        arguments={
            "mode": MODE,
            "candidates": "random_forest",
            "source_uri": "simulated:?rows=3000",
        },
        launcher={
            "LAUNCHER_ENDPOINT": endpoint,
            "LAUNCHER_KEY": key,
            "LAUNCHER_SECRET": secret,
        },
    )
    run.run()

    assert list(run.steps) == ["ingest", "validate", "train", "evaluate", "publish"]
    assert run.steps["ingest"].metadata["accounting"]["rows_in"] == 3000
    published = run.steps["publish"].parameters
    assert published["promoted"] is True, published["verdict"]
    assert unserved.get_release(MODE) == published["release_id"]
    with unserved.connect_to_store() as settings:
        store = ObjectStore(settings)
        release = Registry(store).find(published["release_id"])
        assert release.prefix + SIGNATURE in store.list_keys(settings.models_bucket, release.prefix)
    assert (release.manifest.mode, release.manifest.run_id) == (Mode(MODE), run.run_id)
    (message,) = receiver.read()
    assert message.title.endswith(f"{MODE}: release promoted")
    assert f"release {release.id[:12]} is champion: {published['verdict']}" in message.text
    assert f"https://kfp.example.org/#/runs/details/{run.run_id}" in message.text
    assert 0 < run.steps["evaluate"].sizes["report"] < MAX_PAGE_BYTES
    for step in run.steps.values():
        for metadata in step.metadata.values():
            assert not list(iterate_not_finite(metadata))


def iterate_not_finite(value: Any) -> Iterator[float]:
    """Yield the NaN and infinite numbers in metadata, which KFP cannot store."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from iterate_not_finite(each)
    elif isinstance(value, float) and not math.isfinite(value):
        yield value
