"""NetworkPolicies: who reaches what."""

import pytest

from tests.support.cluster.chart import Installation
from tests.support.cluster.kube import Shell, eventually

CASES = [
    # labels                                  store  predictor
    ({}, False, False),
    ({"skyclass-client": "true"}, False, True),
    ({"app.kubernetes.io/component": "ingest"}, False, False),  # another project's
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


@pytest.fixture(scope="module", params=CASES, ids=["stranger", "client", "look-alike", "ingest"])
def case(installed: Installation, request: pytest.FixtureRequest) -> tuple[Shell, bool, bool]:
    """A pod, and whether it may reach store and predictor."""
    labels, store, predictor = request.param
    name = f"network-{CASES.index(request.param)}"
    return installed.shell(name, labels), store, predictor


def test_only_those_who_need_it_reach_the_store_and_the_predictor(
    installed: Installation, case: tuple[Shell, bool, bool]
) -> None:
    shell, store, predictor = case

    def as_expected() -> bool:
        found = (
            shell.reaches(f"{installed.name}-minio", 9000),
            shell.reaches("skyclass-photometric-predictor", 80),
        )
        return found == (store, predictor)

    eventually(as_expected, seconds=10)  # policies hold a moment after a pod has started


def test_nobody_reaches_the_api_server_but_those_who_promote(
    installed: Installation, case: tuple[Shell, bool, bool]
) -> None:
    assert not case[0].reaches("kubernetes.default", 443)


def test_the_predictor_has_no_admin_paths(installed: Installation) -> None:
    shell = installed.shell("network-admin", {"skyclass-client": "true"})
    code = """
import sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1], b"{}", {"Content-Type": "application/json"})
try: print(urllib.request.urlopen(request, timeout=10).status)
except urllib.error.HTTPError as error: print(error.code)
"""
    paths = ("repository/models/skyclass-photometric/unload", "repository/index")
    for path in paths:
        said = shell.python(code, f"http://skyclass-photometric-predictor/v2/{path}")
        assert said.strip() == "404"
