"""The cached state of a mode."""

from datetime import timedelta

from skyclass.apps.monitor.state import StateReader
from skyclass.monitoring.documents import save_document
from skyclass.monitoring.verdict import Verdict
from skyclass.promotion.local import LocalChampionStore
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.monitoring import END, make_daily_verdict
from tests.support.world import NOW


def test_fewer_windows_are_served_from_the_same_state(store: ObjectStore) -> None:
    ends = [END + timedelta(days=day) for day in range(3)]
    for end in ends:
        save_document(store, make_daily_verdict(Verdict.NO_DRIFT, "a" * 64, end))
    reader = StateReader(store, LocalChampionStore(store))
    reader.read(Mode.SPECTROSCOPIC, clock=lambda: NOW)
    later = NOW + timedelta(seconds=1)
    state = reader.read(Mode.SPECTROSCOPIC, 2, clock=lambda: later).state
    assert state is not None
    assert state.time == NOW
    assert [each.window_end for each in state.verdicts] == ends[1:]


def test_a_state_is_read_again_after_the_clock_was_set_back(store: ObjectStore) -> None:
    reader = StateReader(store, LocalChampionStore(store))
    reader.read(Mode.SPECTROSCOPIC, clock=lambda: NOW + timedelta(days=1))
    state = reader.read(Mode.SPECTROSCOPIC, clock=lambda: NOW).state
    assert state is not None
    assert state.time == NOW
