"""The lineage of a release, read from stored documents."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from skyclass.monitoring import lineage
from skyclass.monitoring.accuracy_job import WindowAccuracy
from skyclass.monitoring.decisions import Action, Cause, Decision, Run, RunState
from skyclass.monitoring.documents import save_document
from skyclass.monitoring.lineage import read_lineage
from skyclass.monitoring.verdict import Verdict
from skyclass.promotion.events import Promotion
from skyclass.registry.releases import Registry, Release
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.monitoring import END, make_daily_verdict
from tests.support.releases import draft, write_files

MODE = Mode.SPECTROSCOPIC
DAY = timedelta(days=1)


@pytest.fixture
def releases(store: ObjectStore, tmp_path: Path) -> list[Release]:
    """Two releases, the first of which is the parent of the second."""
    registry, files = Registry(store), write_files(tmp_path)
    first = registry.publish(draft(MODE, run_id="run-1", created_at=END - DAY), files)
    changes = {"run_id": "run-2", "parent": first.id, "created_at": END + DAY * 3}
    return [first, registry.publish(draft(MODE, **changes), files)]


def promote(before: Release | None, after: Release, time: datetime) -> Promotion:
    return Promotion(
        mode=MODE,
        from_release=before.id if before else None,
        to_release=after.id,
        reason="for a test",
        run_id=after.manifest.run_id,
        time=time,
    )


def decide(champion: Release, end: datetime, run: Run | None = None) -> Decision:
    return Decision(
        mode=MODE,
        window_end=end,
        decided_at=end,
        champion=champion.id,
        table_version=1,
        action=Action.RETRAIN if run else Action.WAIT,
        cause=Cause.DRIFT,
        reason="for a test",
        run=run,
    )


def save_windows(store: ObjectStore, release: Release, *ends: datetime) -> None:
    for end in ends:
        save_document(store, make_daily_verdict(Verdict.DRIFT, release.id, end))


def test_parent_knows_its_successor_and_other_releases_of_its_data(
    store: ObjectStore, releases: list[Release]
) -> None:
    first, second = releases
    found = read_lineage(store, first, releases, [])
    assert (found.successors, found.siblings) == ((second,), (second,))
    found = read_lineage(store, second, releases, [])
    assert (found.successors, found.siblings) == ((), (first,))


def test_windows_are_those_of_the_release_with_accuracy_and_decision(
    store: ObjectStore, releases: list[Release]
) -> None:
    first, second = releases
    promotions = [promote(None, first, END), promote(first, second, END + DAY * 3)]
    save_windows(store, first, END + DAY, END + DAY * 2)
    save_windows(store, second, END + DAY * 4)
    accuracy = WindowAccuracy(
        mode=MODE,
        release=first.id,
        window_start=END + DAY,
        window_end=END + DAY * 2,
        answers=0,
        keyed=0,
        table_version=None,
        estimate=None,
        measured=None,
        rivalry=None,
    )
    decision = decide(first, END + DAY * 2)
    save_document(store, accuracy)
    save_document(store, decision)
    found = read_lineage(store, first, releases, promotions)
    assert [each.verdict.window_end for each in found.windows] == [END + DAY, END + DAY * 2]
    assert [each.accuracy for each in found.windows] == [None, accuracy]
    assert [each.decision for each in found.windows] == [None, decision]
    assert found.promotions == tuple(promotions)
    assert not found.is_truncated


def test_windows_of_successors_do_not_displace_those_of_an_old_release(
    store: ObjectStore, releases: list[Release], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineage, "MAX_WINDOWS", 2)
    first, second = releases
    promotions = [promote(None, first, END), promote(first, second, END + DAY * 3)]
    save_windows(store, first, END + DAY, END + DAY * 2, END + DAY * 3)
    save_windows(store, second, *(END + DAY * number for number in range(5, 9)))
    found = read_lineage(store, first, releases, promotions)
    assert [each.verdict.window_end for each in found.windows] == [END + DAY * 2, END + DAY * 3]
    assert found.is_truncated


def test_release_that_came_back_has_its_newest_windows(
    store: ObjectStore, releases: list[Release]
) -> None:
    first, second = releases
    promotions = [
        promote(None, first, END),
        promote(first, second, END + DAY),
        promote(second, first, END + DAY * 2),
    ]
    save_windows(store, first, END + DAY * 9)
    assert len(read_lineage(store, first, releases, promotions).windows) == 1


def test_run_of_a_decision_is_the_origin_of_its_release(
    store: ObjectStore, releases: list[Release]
) -> None:
    first, second = releases
    origin = decide(first, END + DAY * 2, Run(state=RunState.RUNNING, id="run-2"))
    save_document(store, origin)
    save_document(store, decide(first, END + DAY))
    assert read_lineage(store, second, releases, []).origin == origin
    assert read_lineage(store, first, releases, []).origin is None
