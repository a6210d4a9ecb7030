"""Checks and records the history of each test that is marked with `fault`."""

from collections.abc import Generator

import pytest

from tests.support.faults.catalogue import FAULTS
from tests.support.faults.history import History
from tests.support.faults.records import write_record

_HISTORY = pytest.StashKey[History]()


@pytest.fixture
def history(request: pytest.FixtureRequest) -> History:
    """The history of a fault test, which is checked when the test has ended."""
    assert request.node.get_closest_marker("fault"), "only marked tests have their history checked"
    history = History()
    request.node.stash[_HISTORY] = history
    return history


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Check the history of a fault test within the test, and record it."""
    result = yield
    marker = pyfuncitem.get_closest_marker("fault")
    if marker is not None:
        (name,) = marker.args
        assert name in FAULTS, f"{name} is not in the catalogue of faults"
        assert _HISTORY in pyfuncitem.stash, "a fault test needs the fixture `history`"
        history = pyfuncitem.stash[_HISTORY]
        history.check()
        write_record(name, pyfuncitem.nodeid, history)
    return result
