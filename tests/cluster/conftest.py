"""Installations of the chart on a cluster with KServe.

The tests create namespaces that enforce Pod Security `restricted`, and delete them; one pod, which
kills and pauses others on its node, needs a namespace that enforces `privileged`. The cluster must
be able to pull the images (`make images test-images previous-images`), and have one node for pods.
Environment:

    KUBECONFIG                  selects the cluster
    SKYCLASS_TEST_VALUES        YAML file with additional values of the chart, such as your registry
    SKYCLASS_TEST_ENGINE        engine of the store of `scaled`: minio (default) or seaweedfs. That
                                of `installed` is SeaweedFS
"""

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.support.cluster.chart import INGESTED, SEAWEEDFS, Installation
from tests.support.cluster.kube import Namespace, Shell


@pytest.fixture(scope="session", autouse=True)
def cluster() -> None:
    """Fail, rather than skip, if the tests cannot run: a skipped run would look like a success."""
    missing = [tool for tool in ("kubectl", "helm") if shutil.which(tool) is None]
    if not os.environ.get("KUBECONFIG"):
        missing.append("KUBECONFIG")
    if missing:
        pytest.exit(f"these tests need {', '.join(missing)}: see docs/kubernetes.md", returncode=1)


@pytest.fixture(scope="session")
def installed(cluster: None) -> Iterator[Installation]:
    """The chart as the README installs it, after bootstrap: both endpoints are ready."""
    with Namespace.create("main") as namespace:
        installation = Installation(namespace, "skyclass", **SEAWEEDFS)
        installation.install()
        installation.wait_until_served()
        yield installation


@pytest.fixture(scope="session")
def kfp(cluster: None) -> Iterator[Namespace]:
    """A namespace that takes the place of Kubeflow Pipelines'."""
    with Namespace.create("kfp") as namespace:
        namespace.kubectl("create", "serviceaccount", "pipeline-runner")
        yield namespace


@pytest.fixture(scope="session")
def scaled(kfp: Namespace) -> Iterator[Installation]:
    """The chart with one autoscaled endpoint and all jobs. Tests modify it."""
    engine = SEAWEEDFS if os.environ.get("SKYCLASS_TEST_ENGINE") == "seaweedfs" else {}
    with Namespace.create("scaled") as namespace:
        installation = Installation(
            namespace,
            "skyclass",
            modes__spectroscopic__enabled=False,
            predictor__minReplicas=2,
            predictor__maxReplicas=3,
            ingest__enabled=True,
            ingest__uri=INGESTED,
            score__enabled=True,
            predictPage__enabled=False,
            kfp__enabled=True,
            kfp__namespace=kfp.name,
            **engine,
        )
        installation.install()
        installation.wait_until_served(("photometric",))
        yield installation


@pytest.fixture(scope="session")
def caller(scaled: Installation) -> Shell:
    """A pod that may call the endpoint."""
    return scaled.start_shell("caller", {"skyclass-client": "true"})
