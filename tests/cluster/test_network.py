"""NetworkPolicies: connections that are allowed and denied."""

import pytest

from tests.support.cluster.chart import Installation
from tests.support.cluster.kube import Shell, eventually

CASES = [
    # labels                                  store  predictor
    ({}, False, False),
    ({"skyclass-client": "true"}, False, True),
    ({"app.kubernetes.io/component": "ingest"}, False, False),  # of another release
    (
        {
            "app.kubernetes.io/name": "skyclass",
            "app.kubernetes.io/instance": "skyclass",
            "app.kubernetes.io/component": "ingest",
        },
        True,
        False,
    ),
]


@pytest.fixture(
    scope="module", params=CASES, ids=["unlabelled", "client", "other-release", "ingest"]
)
def case(installed: Installation, request: pytest.FixtureRequest) -> tuple[Shell, bool, bool]:
    """A pod, and whether it may connect to the store and to the predictor."""
    labels, store, predictor = request.param
    name = f"network-{CASES.index(request.param)}"
    return installed.start_shell(name, labels), store, predictor


def test_only_permitted_pods_connect_to_the_store_and_the_predictor(
    installed: Installation, case: tuple[Shell, bool, bool]
) -> None:
    shell, store, predictor = case

    def is_as_expected() -> bool:
        found = (
            shell.can_connect(installed.store, 9000),
            shell.can_connect("skyclass-photometric-predictor", 80),
        )
        return found == (store, predictor)

    eventually(is_as_expected, seconds=60)  # policies apply shortly after a pod has started


def test_only_the_s3_port_of_the_store_is_reachable(
    installed: Installation, case: tuple[Shell, bool, bool]
) -> None:
    address = installed.namespace.get(f"pod/{installed.store}-0")["status"]["podIP"]
    others = (9333, 19333, 8080, 18080, 8888, 18888, 19000)  # of SeaweedFS: HTTP and gRPC
    eventually(lambda: not any(case[0].can_connect(address, port) for port in others), 60)


def test_these_pods_cannot_connect_to_the_api_server(
    installed: Installation, case: tuple[Shell, bool, bool]
) -> None:
    eventually(lambda: not case[0].can_connect("kubernetes.default", 443), 60)


def test_the_predictor_has_no_repository_api(installed: Installation) -> None:
    shell = installed.start_shell("network-admin", {"skyclass-client": "true"})
    code = """
import sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1], b"{}", {"Content-Type": "application/json"})
try: print(urllib.request.urlopen(request, timeout=10).status)
except urllib.error.HTTPError as error: print(error.code)
"""
    paths = ("repository/models/skyclass-photometric/unload", "repository/index")
    for path in paths:
        status = shell.run_python(code, f"http://skyclass-photometric-predictor/v2/{path}")
        assert status.strip() == "404"
