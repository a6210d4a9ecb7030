"""The store grants exactly the documented access: every role, prefix and verb is tested."""

from collections.abc import Iterator

import pytest

from skyclass.admin.identities import Role
from skyclass.settings import Settings
from tests.support.cluster.chart import Installation
from tests.support.store_access import (
    connect,
    list_grants,
    put_probes,
    remove_probes,
    try_access,
)


@pytest.fixture(scope="module", params=["installed", "scaled"])
def installation(request: pytest.FixtureRequest) -> Installation:
    """An installation with each engine of the bundled store."""
    installation = request.getfixturevalue(request.param)
    assert isinstance(installation, Installation)
    return installation


@pytest.fixture(scope="module")
def probed(installation: Installation) -> Iterator[Settings]:
    """Settings that access the store, which has one object below each prefix."""
    with installation.connect_to_store() as settings:
        put_probes(settings)
        yield settings
        remove_probes(settings)


@pytest.mark.parametrize("role", list(Role))
def test_a_role_has_exactly_the_granted_access(
    installation: Installation, probed: Settings, role: Role
) -> None:
    client = connect(probed, *installation.read_keys(role))

    found = try_access(client, probed)

    assert found == list_grants(role)
    assert any(found.values())
