"""A cluster with KServe, and the chart installed in it; any cluster that KUBECONFIG names.

The tests make namespaces of their own, each enforcing Pod Security `restricted`, and delete them.
The images must be there (`make images`, then what brings them to your cluster). Environment:

    KUBECONFIG                  the cluster
    SKYCLASS_TEST_VALUES        more values for the chart, as a YAML file (your registry, say)
"""

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.support.cluster.chart import INGESTED, Installation
from tests.support.cluster.kube import Namespace, Shell


@pytest.fixture(scope="session", autouse=True)
def cluster() -> None:
    """What all tests here need: without it they fail, as a skip would look like a success."""
    missing = [tool for tool in ("kubectl", "helm") if shutil.which(tool) is None]
    if not os.environ.get("KUBECONFIG"):
        missing.append("KUBECONFIG")
    if missing:
        pytest.exit(f"these tests need {', '.join(missing)}: see docs/kubernetes.md", returncode=1)


@pytest.fixture(scope="session")
def installed(cluster: None) -> Iterator[Installation]:
    """The chart with its defaults, bootstrapped: both endpoints answer."""
    with Namespace.fresh("main") as namespace:
        installation = Installation(namespace, "skyclass")
        installation.install()
        installation.wait_until_served()
        yield installation


@pytest.fixture(scope="session")
def kfp(cluster: None) -> Iterator[Namespace]:
    """A namespace in the place of Kubeflow Pipelines'."""
    with Namespace.fresh("kfp") as namespace:
        namespace.kubectl("create", "serviceaccount", "pipeline-runner")
        yield namespace


@pytest.fixture(scope="session")
def lively(kfp: Namespace) -> Iterator[Installation]:
    """One endpoint with two pods, up to three under load, and all jobs; tests change it."""
    with Namespace.fresh("lively") as namespace:
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
        )
        installation.install()
        installation.wait_until_served(("photometric",))
        yield installation


@pytest.fixture(scope="session")
def caller(lively: Installation) -> Shell:
    """A pod that may ask the endpoint."""
    return lively.shell("caller", {"skyclass-client": "true"})
