"""Which release a champion replaced."""

from datetime import UTC, datetime

import pytest

from skyclass.errors import ReleaseError
from skyclass.promotion.events import Promotion
from skyclass.promotion.lineage import find_parent, find_rollback_target
from skyclass.survey.features import Mode

MODE = Mode.PHOTOMETRIC


def promotion(before: str | None, after: str) -> Promotion:
    time = datetime(2026, 1, 1, tzinfo=UTC)
    return Promotion(
        mode=MODE, from_release=before, to_release=after, reason="", run_id="", time=time
    )


HISTORY = [
    promotion(None, "a"),
    promotion("a", "b"),
    promotion("b", "b"),  # promoting the champion again changes nothing
    promotion("b", "c"),
]


def test_parent_is_the_champion_that_was_replaced() -> None:
    assert find_parent(HISTORY, "b") == "a"
    assert find_parent(HISTORY, "c") == "b"


def test_first_champion_and_an_unknown_release_have_no_parent() -> None:
    assert find_parent(HISTORY, "a") is None
    assert find_parent([], "a") is None


def test_champion_that_came_back_is_not_compared_again() -> None:
    assert find_parent([*HISTORY, promotion("c", "b")], "b") is None


def test_champion_that_was_promoted_twice_in_a_row_has_changed_once() -> None:
    assert find_parent([*HISTORY, promotion("c", "c")], "c") == "b"


def test_rollback_leads_to_the_release_that_the_champion_replaced_first() -> None:
    assert find_rollback_target(MODE, "c", HISTORY) == "b"
    assert find_rollback_target(MODE, "b", [*HISTORY, promotion("c", "b")]) == "a"


def test_rollback_from_an_unrecorded_champion_leads_to_the_newest_recorded_one() -> None:
    assert find_rollback_target(MODE, "d", HISTORY) == "c"


def test_rollback_that_was_not_recorded_is_repeated_to_the_same_release() -> None:
    assert find_rollback_target(MODE, "c", HISTORY) == "b"
    assert find_rollback_target(MODE, "b", HISTORY) == "b"


def test_rollback_needs_a_champion_that_replaced_another() -> None:
    with pytest.raises(ReleaseError, match="a was the first photometric champion"):
        find_rollback_target(MODE, "a", HISTORY)
    with pytest.raises(ReleaseError, match="d was the first photometric champion"):
        find_rollback_target(MODE, "d", [])
    with pytest.raises(ReleaseError, match="no photometric release has been promoted yet"):
        find_rollback_target(MODE, None, HISTORY)
