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

from tests.cluster.chart import Installation
from tests.cluster.kube import Namespace


@pytest.fixture(scope="session")
def installed() -> Iterator[Installation]:
    """The chart with its defaults, bootstrapped: both endpoints answer."""
    missing = [tool for tool in ("kubectl", "helm") if shutil.which(tool) is None]
    if missing or not os.environ.get("KUBECONFIG"):
        pytest.fail(f"needs {', '.join([*missing, 'KUBECONFIG'])}: see docs/kubernetes.md")
    with Namespace.fresh("main") as namespace:
        installation = Installation(namespace, "skyclass")
        installation.install()
        installation.wait_until_served()
        yield installation
