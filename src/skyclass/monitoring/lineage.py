"""Lineage of a release: what it was made from, and what it has done since.

It is read from the stored documents alone: manifests, promotion events, the documents of windows
and the predictions table. KFP's metadata store is not needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from skyclass.monitoring.accuracy_job import WindowAccuracy
from skyclass.monitoring.decisions import Decision
from skyclass.monitoring.documents import load_documents
from skyclass.monitoring.verdict import DriftVerdict
from skyclass.promotion.events import Promotion
from skyclass.registry.releases import Release
from skyclass.storage.s3 import ObjectStore

MAX_WINDOWS = 100
"""Maximum number of windows that are read, the newest until the release was replaced."""

_MAX_DECISIONS = 50
"""Number of decisions before a publication that are searched for the one that started its run."""

_LAST_WINDOW = timedelta(days=1)
"""Time between the replacement of a release and the end of its last window, at most."""


@dataclass(frozen=True)
class MonitoredWindow:
    """A window of the release's predictions, and what followed from it."""

    verdict: DriftVerdict
    accuracy: WindowAccuracy | None
    decision: Decision | None


@dataclass(frozen=True)
class Lineage:
    """What a release was made from, and what it has done since.

    Attributes:
        release: The release; its manifest names run, training set, parent and metrics.
        origin: The retraining decision that started its run; None for other runs.
        successors: Releases that were published while it was champion, oldest first.
        siblings: Other releases that were trained on the same version of the same table.
        promotions: Events that made it champion or replaced it, oldest first.
        windows: Windows of its predictions, oldest first.
        is_truncated: Whether there may be older windows, beyond `MAX_WINDOWS`.
    """

    release: Release
    origin: Decision | None
    successors: tuple[Release, ...]
    siblings: tuple[Release, ...]
    promotions: tuple[Promotion, ...]
    windows: tuple[MonitoredWindow, ...]
    is_truncated: bool


def read_lineage(
    store: ObjectStore,
    release: Release,
    releases: Sequence[Release],
    promotions: Sequence[Promotion],
) -> Lineage:
    """Read the lineage of a release.

    Args:
        store: The object store.
        release: The release.
        releases: All releases of its mode, oldest first.
        promotions: All promotions of its mode, oldest first.

    Raises:
        StoreError: The object store failed.
    """
    of_release = tuple(
        event for event in promotions if release.id in (event.from_release, event.to_release)
    )
    until = _find_replacement(release.id, of_release)
    until = until + _LAST_WINDOW if until else None
    verdicts = load_documents(store, DriftVerdict, release.mode, MAX_WINDOWS, until=until)
    windows = _join(store, [each for each in verdicts if each.release == release.id], until)
    data = release.manifest.training_set
    return Lineage(
        release=release,
        origin=_find_origin(store, release),
        successors=tuple(each for each in releases if each.manifest.parent == release.id),
        siblings=tuple(
            each
            for each in releases
            if each.id != release.id
            and (each.manifest.training_set.table, each.manifest.training_set.version)
            == (data.table, data.version)
        ),
        promotions=of_release,
        windows=windows,
        is_truncated=len(verdicts) == MAX_WINDOWS and verdicts[0].release == release.id,
    )


def _find_replacement(release_id: str, promotions: Sequence[Promotion]) -> datetime | None:
    """Return when a release was last replaced; None if it was not, or is champion again."""
    if not promotions or promotions[-1].to_release == release_id:
        return None
    return promotions[-1].time


def _join(
    store: ObjectStore, verdicts: Sequence[DriftVerdict], until: datetime | None
) -> tuple[MonitoredWindow, ...]:
    if not verdicts:
        return ()
    mode, since = verdicts[0].mode, verdicts[0].window_end
    accuracies = load_documents(store, WindowAccuracy, mode, since=since, until=until)
    decisions = load_documents(store, Decision, mode, since=since, until=until)
    accuracy_by_end = {each.window_end: each for each in accuracies}
    decision_by_end = {each.window_end: each for each in decisions}
    return tuple(
        MonitoredWindow(
            verdict=verdict,
            accuracy=accuracy_by_end.get(verdict.window_end),
            decision=decision_by_end.get(verdict.window_end),
        )
        for verdict in verdicts
    )


def _find_origin(store: ObjectStore, release: Release) -> Decision | None:
    """Return the decision that started the run of a release; it precedes the publication."""
    manifest = release.manifest
    decisions = load_documents(
        store, Decision, release.mode, _MAX_DECISIONS, until=manifest.created_at
    )
    for decision in reversed(decisions):
        if decision.run and decision.run.id == manifest.run_id:
            return decision
    return None
