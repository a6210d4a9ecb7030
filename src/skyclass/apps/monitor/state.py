"""The monitored state of each mode, read from the object store and cached for some seconds."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from skyclass.apps.monitor.predictions_cache import PredictionsCache
from skyclass.errors import SkyclassError
from skyclass.monitoring.accuracy_job import WindowAccuracy
from skyclass.monitoring.decisions import Decision
from skyclass.monitoring.documents import DRIFT_PREFIX, load_documents
from skyclass.monitoring.lineage import Lineage, read_lineage
from skyclass.monitoring.runs import complete_run
from skyclass.monitoring.verdict import DriftVerdict
from skyclass.promotion.approvals import Approval, ApprovalLog, find_waiting
from skyclass.promotion.champions import ChampionStore
from skyclass.promotion.events import Promotion
from skyclass.promotion.lineage import find_parent
from skyclass.registry.releases import Registry, Release
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.log.recent import find_last_write
from skyclass.tables.prediction_history import (
    ScoredDay,
    ScoredInput,
    read_daily_history,
    read_scored_inputs,
)

DEFAULT_WINDOWS = 30
"""Number of newest windows shown by default."""
MAX_WINDOWS = 366

_MAX_AGE = timedelta(seconds=15)
"""Age below which a cached state is returned, so that many visitors cost the store one read."""


@dataclass(frozen=True)
class ModeState:
    """Everything that is shown about a mode.

    Attributes:
        mode: The mode.
        time: Time of reading.
        champion: The champion, if there is one.
        parent: The release that it replaced, if any.
        verdicts: Verdicts on the newest windows, oldest first.
        accuracies: Accuracy of these windows.
        decisions: Retraining decisions after them.
        releases: All releases, oldest first.
        promotions: All promotions, oldest first.
        approvals: Releases that wait for an approval, waited, or were decided about.
        last_run: Time at which the drift job last wrote a verdict.
        last_logged: Time at which the prediction log was last written, today or yesterday.
    """

    mode: Mode
    time: datetime
    champion: Release | None
    parent: str | None
    verdicts: list[DriftVerdict]
    accuracies: list[WindowAccuracy]
    decisions: list[Decision]
    releases: list[Release]
    promotions: list[Promotion]
    approvals: list[Approval]
    last_run: datetime | None
    last_logged: datetime | None

    def limit(self, windows: int) -> "ModeState":
        """Return the state with fewer windows, the newest."""
        return replace(
            self,
            verdicts=self.verdicts[-windows:],
            accuracies=self.accuracies[-windows:],
            decisions=self.decisions[-windows:],
        )

    @property
    def newest(self) -> DriftVerdict | None:
        """Verdict on the newest window."""
        return self.verdicts[-1] if self.verdicts else None

    @property
    def waiting(self) -> Approval | None:
        """The release that waits for an approval."""
        return find_waiting(self.approvals)

    @property
    def newest_accuracy(self) -> WindowAccuracy | None:
        """Accuracy of the newest window."""
        return next(
            (
                accuracy
                for accuracy in reversed(self.accuracies)
                if self.newest and accuracy.window_end == self.newest.window_end
            ),
            None,
        )

    @property
    def newest_measured(self) -> WindowAccuracy | None:
        """Accuracy of the newest window with labels."""
        return next((each for each in reversed(self.accuracies) if each.measured), None)


@dataclass(frozen=True)
class ReadResult:
    """A state and, if the store could not be read, why the state is stale or missing.

    Attributes:
        state: The current state, or the last one read; None if nothing was ever read.
        error: Why the store could not be read; empty if it was.
    """

    state: ModeState | None
    error: str = ""


class StateReader:
    """Reads and caches the state of each mode; thread-safe."""

    def __init__(self, store: ObjectStore, champions: ChampionStore) -> None:
        self.store = store
        self._champions = champions
        self._states: dict[tuple[Mode, int], ModeState] = {}
        self._lineages: dict[str, tuple[datetime, Lineage]] = {}
        self._days = PredictionsCache(store.settings, read_daily_history)
        self._inputs = PredictionsCache(store.settings, read_scored_inputs)
        self._lock = threading.Lock()
        self._lineage_lock = threading.Lock()

    def read(
        self,
        mode: Mode,
        windows: int = DEFAULT_WINDOWS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> ReadResult:
        """Return the state of a mode.

        Args:
            mode: The mode.
            windows: Maximum number of windows, from 1 to `MAX_WINDOWS`; the newest are kept.
            clock: Returns the current time.
        """
        # Two states of a mode serve every number of windows, so that memory is bounded.
        most = DEFAULT_WINDOWS if windows <= DEFAULT_WINDOWS else MAX_WINDOWS
        with self._lock:  # concurrent requests wait for one read
            state, error, now = self._states.get((mode, most)), "", clock()
            if state is None or abs(now - state.time) >= _MAX_AGE:  # clocks may be set back
                try:
                    state = self._states[mode, most] = self._read(mode, most, now)
                except SkyclassError as failure:
                    error = str(failure)
        return ReadResult(state.limit(windows) if state else None, error)

    def read_lineage(self, release: Release, state: ModeState) -> Lineage:
        """Return the lineage of a release.

        Args:
            release: The release.
            state: State of its mode.

        Raises:
            StoreError: The object store failed.
        """
        with self._lineage_lock:
            cached = self._lineages.get(release.id)
            if cached is None or cached[0] != state.time:
                lineage = read_lineage(self.store, release, state.releases, state.promotions)
                cached = self._lineages[release.id] = (state.time, lineage)
            return cached[1]

    def read_scored_days(self, release: str) -> list[ScoredDay]:
        """Return the batch predictions of a release by day, oldest first.

        Raises:
            StoreError: The table cannot be read.
        """
        return self._days.read(release)

    def read_scored_inputs(self, release: str) -> list[ScoredInput]:
        """Return the batch predictions of a release by input, in the order of scoring.

        Raises:
            StoreError: The table cannot be read.
        """
        return self._inputs.read(release)

    def _read(self, mode: Mode, windows: int, now: datetime) -> ModeState:
        champion = self._champions.get_champion(mode)
        promotions = self._champions.list_promotions(mode)
        bucket = self.store.settings.reports_bucket
        runs = [
            each.written
            for each in self.store.list_objects(bucket, f"{DRIFT_PREFIX}/{mode}/")
            if each.key.endswith(f"/{DriftVerdict.file_name}")
        ]
        releases = Registry(self.store).list_releases(mode)
        approvals = ApprovalLog(self.store).list_approvals(mode, champion.id if champion else None)
        return ModeState(
            mode=mode,
            time=now,
            champion=champion,
            parent=find_parent(promotions, champion.id) if champion else None,
            verdicts=load_documents(self.store, DriftVerdict, mode, last=windows),
            accuracies=load_documents(self.store, WindowAccuracy, mode, last=windows),
            decisions=[
                complete_run(decision, releases, promotions, approvals)
                for decision in load_documents(self.store, Decision, mode, last=windows)
            ],
            releases=releases,
            promotions=promotions,
            approvals=approvals,
            last_run=max(runs, default=None),
            last_logged=find_last_write(self.store, now),
        )
