"""What the pages and the metrics show, read from the object store and kept for a moment."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from skyclass.errors import SkyclassError
from skyclass.monitoring.drift import DRIFT_PREFIX, VERDICT, reports
from skyclass.monitoring.loop import decisions
from skyclass.monitoring.measuring import WindowAccuracy, accuracies
from skyclass.monitoring.retraining import Decision
from skyclass.monitoring.verdict import DriftVerdict
from skyclass.promotion.champions import ChampionStore
from skyclass.promotion.events import Promotion
from skyclass.promotion.lineage import find_parent
from skyclass.registry.releases import Registry, Release
from skyclass.scoring.history import ScoredDay, daily_history
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.prediction_log import day_prefix
from skyclass.tables.predictions import PredictionsTable

WINDOWS = 30
"""So many of the newest windows are shown unless more are asked for."""
MOST_WINDOWS = 366

_KEPT = timedelta(seconds=15)
"""A reading younger than this is shown again: many visitors cost the store no more than one."""


@dataclass(frozen=True)
class Reading:
    """All that is known of a mode.

    Attributes:
        mode: The mode.
        time: When it was read.
        champion: What is served, if anything is.
        parent: The release whose place it took, if any.
        verdicts: The newest windows, the oldest first.
        accuracies: What is known of their accuracy.
        decisions: What was decided after them.
        releases: All releases, the oldest first.
        promotions: All promotions, the oldest first.
        last_run: When the drift job last wrote a verdict.
        last_logged: When the prediction log was last written to, today or yesterday.
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
    last_run: datetime | None
    last_logged: datetime | None

    @property
    def newest(self) -> DriftVerdict | None:
        """The newest window."""
        return self.verdicts[-1] if self.verdicts else None

    @property
    def accuracy_of_newest(self) -> WindowAccuracy | None:
        """What is known of the newest window's accuracy."""
        return next(
            (
                each
                for each in reversed(self.accuracies)
                if self.newest and each.window_end == self.newest.window_end
            ),
            None,
        )

    @property
    def last_measured(self) -> WindowAccuracy | None:
        """The newest window for which labels have arrived."""
        return next((each for each in reversed(self.accuracies) if each.measured), None)


@dataclass(frozen=True)
class Found:
    """A reading, or the one before with the reason why there is no newer one.

    Attributes:
        reading: What is known; none when nothing could ever be read.
        trouble: Why it could not be read now; empty when it could.
    """

    reading: Reading | None
    trouble: str = ""


class Reader:
    """Reads what the pages show."""

    def __init__(self, store: ObjectStore, champions: ChampionStore) -> None:
        """Prepare to read; nothing is contacted yet."""
        self.store = store
        self._champions = champions
        self._kept: dict[tuple[Mode, int], Reading] = {}
        self._scored: dict[str, tuple[int | None, list[ScoredDay]]] = {}
        self._lock = threading.Lock()
        self._scored_lock = threading.Lock()  # a large table takes seconds, and nothing else waits

    def read(
        self,
        mode: Mode,
        windows: int = WINDOWS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Found:
        """What is known of a mode.

        Args:
            mode: The mode.
            windows: Only so many of the newest windows.
            clock: Tells the present time.
        """
        with self._lock:  # one visitor reads, the others wait for what it found
            kept = self._kept.get((mode, windows))
            if kept and clock() - kept.time < _KEPT:
                return Found(kept)
            try:
                fresh = self._read(mode, windows, clock())
            except SkyclassError as error:
                return Found(kept, str(error))
            self._kept[mode, windows] = fresh
            return Found(fresh)

    def scored(self, release: str) -> list[ScoredDay]:
        """What a release predicted in batches, the oldest day first; read anew when it has grown.

        Args:
            release: The release.

        Raises:
            StoreError: The table cannot be read.
        """
        with self._scored_lock:
            version = PredictionsTable(self.store.settings).newest_version()
            known = self._scored.get(release)
            if known is None or known[0] != version:
                known = (version, daily_history(self.store.settings, release))
                self._scored[release] = known
            return known[1]

    def _read(self, mode: Mode, windows: int, now: datetime) -> Reading:
        champion = self._champions.get_champion(mode)
        promotions = self._champions.list_promotions(mode)
        bucket = self.store.settings.reports_bucket
        runs = [
            time
            for key, time in self.store.list_with_times(bucket, f"{DRIFT_PREFIX}/{mode}/")
            if key.endswith(f"/{VERDICT}")
        ]
        logged = [
            time
            for day in (now.date(), (now - timedelta(days=1)).date())
            for _, time in self.store.list_with_times(
                self.store.settings.logs_bucket, day_prefix(day)
            )
        ]
        return Reading(
            mode=mode,
            time=now,
            champion=champion,
            parent=find_parent(promotions, champion.id) if champion else None,
            verdicts=reports(self.store, mode, last=windows),
            accuracies=accuracies(self.store, mode, last=windows),
            decisions=decisions(self.store, mode, last=windows),
            releases=Registry(self.store).list_releases(mode),
            promotions=promotions,
            last_run=max(runs, default=None),
            last_logged=max(logged, default=None),
        )
