"""The history of a fault test fails the test if anything acknowledged is not there exactly once."""

import pytest

from tests.support.faults.history import History


def make_history() -> History:
    """Return a history that passes: one acknowledged row, and one that failed."""
    history = History()
    history.attempt("row-1", "row-2")
    history.fire("the connection was closed")
    history.acknowledge("row-1")
    with history.recovery():
        history.find(["row-1"])
    return history


def test_operation_without_acknowledgement_may_be_there_or_not() -> None:
    history = make_history()
    history.check()
    history.find(["row-2"])
    history.check()


def test_history_without_evidence_fails() -> None:
    history = make_history()
    history.evidence.clear()
    with pytest.raises(AssertionError, match="the fault was not injected"):
        history.check()


def test_history_without_acknowledgement_fails() -> None:
    history = make_history()
    history.acknowledged.clear()
    with pytest.raises(AssertionError, match="no operation was acknowledged"):
        history.check()


def test_history_without_recovery_fails() -> None:
    history = make_history()
    history.recovery_seconds = None
    with pytest.raises(AssertionError, match="the recovery was not timed"):
        history.check()


def test_lost_key_fails_unless_it_was_counted() -> None:
    history = make_history()
    history.acknowledge("row-3")
    with pytest.raises(AssertionError, match=r"1 acknowledged operations are lost: \['row-3'\]"):
        history.check()
    history.count_losses("row-3")
    history.check()


def test_doubled_key_fails() -> None:
    history = make_history()
    history.find(["row-1"])
    with pytest.raises(AssertionError, match=r"there more than once: \['row-1'\]"):
        history.check()


def test_unexplained_key_fails() -> None:
    history = make_history()
    history.find(["row-3"])
    with pytest.raises(AssertionError, match=r"1 keys that nobody wrote: \['row-3'\]"):
        history.check()


def test_longest_recovery_counts() -> None:
    history = make_history()
    history.recovery_seconds = 3_600
    with history.recovery():
        pass
    assert history.recovery_seconds == 3_600
