"""Brings labels to the windows that were judged: `accuracy.json` beside each verdict.

Labels arrive days after the answers, so every run of the job looks at the recent windows again. The
file says which version of the observations table it was made from, and is made anew only when that
has changed: the same labels give the same bytes.
"""

import logging
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from skyclass.errors import ReleaseError
from skyclass.monitoring.accuracy import Estimate, Measured, estimate, join_labels, measure
from skyclass.monitoring.drift import read_documents, report_prefix, reports
from skyclass.monitoring.verdict import DriftVerdict
from skyclass.monitoring.windows import Window, read_reference_rows, read_window
from skyclass.promotion.champions import ChampionStore
from skyclass.promotion.lineage import find_parent
from skyclass.registry.manifest import Document
from skyclass.registry.models import load_model
from skyclass.registry.releases import Registry
from skyclass.storage.s3 import ObjectMissingError, ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import CLASSES, KEY
from skyclass.tables.observations import ObservationsTable

logger = logging.getLogger(__name__)

ACCURACY = "accuracy.json"

LABELS_TAKE = timedelta(days=14)
"""Windows that ended so long before the newest one are not looked at again."""


class Rivalry(Document):
    """A release and its parent on the same labelled rows.

    Attributes:
        parent: The release that was champion before.
        rows: Rows that both were asked about.
        only_release: Rows that the release alone got right.
        only_parent: Rows that the parent alone got right.
    """

    parent: str
    rows: int
    only_release: int
    only_parent: int


class WindowAccuracy(Document):
    """How often a window's answers were right.

    Attributes:
        mode: The mode of the release.
        release: The release that answered.
        window_start: The window's start (UTC), included.
        window_end: The window's end (UTC), excluded.
        answers: Usable rows that were looked at, after sampling.
        keyed: How many of them came with a key, which a label can be joined on.
        table_version: Version of the observations table that the labels are from, if there is one.
        estimate: What can be said without labels, if anything.
        measured: What the labels say, if any has arrived.
        rivalry: What the release's parent would have answered, where labels can tell.
    """

    mode: Mode
    release: str
    window_start: datetime
    window_end: datetime
    answers: int
    keyed: int
    table_version: int | None
    estimate: Estimate | None
    measured: Measured | None
    rivalry: Rivalry | None


def measure_windows(
    store: ObjectStore, champions: ChampionStore, mode: Mode
) -> list[WindowAccuracy]:
    """Bring new labels to the recent windows of a mode.

    Args:
        store: The object store.
        champions: Tell which release replaced which.
        mode: Whose windows.

    Returns:
        What was found anew, the oldest window first.

    Raises:
        StoreError: The object store failed.
    """
    newest = reports(store, mode, last=1)
    if not newest:
        return []
    since = newest[0].window_end - LABELS_TAKE
    known = {each.window_end: each for each in accuracies(store, mode, since=since)}
    version = ObservationsTable(store.settings).newest_version()
    promotions = champions.list_promotions(mode)
    found = []
    for verdict in reports(store, mode, since=since):
        old = known.get(verdict.window_end)
        if old and not _is_stale(old, verdict, version):
            continue
        fresh = _measure_window(store, verdict, version, find_parent(promotions, verdict.release))
        key = report_prefix(mode, verdict.window_end) + ACCURACY
        store.put(store.settings.reports_bucket, key, fresh.to_bytes(), "application/json")
        found.append(fresh)
    return found


def accuracies(
    store: ObjectStore, mode: Mode, last: int | None = None, since: datetime | None = None
) -> list[WindowAccuracy]:
    """What is known of the windows of a mode, the oldest first.

    Args:
        store: The object store.
        mode: Whose windows.
        last: Only this many of the newest windows; all when not given.
        since: Only windows that ended then or later; all when not given.
    """
    return read_documents(store, WindowAccuracy, ACCURACY, mode, last, since)


def _is_stale(old: WindowAccuracy, verdict: DriftVerdict, version: int | None) -> bool:
    """Whether a window should be looked at again: it was judged anew, or more labels came."""
    complete = old.measured is not None and old.measured.rows == old.keyed
    rejudged = (old.release, old.answers) != (verdict.release, verdict.window_rows)
    return rejudged or (old.table_version != version and not complete)


def _measure_window(
    store: ObjectStore, verdict: DriftVerdict, version: int | None, parent: str | None
) -> WindowAccuracy:
    window = Window(verdict.mode, verdict.release, verdict.window_start, verdict.window_end)
    answers = read_window(store, window).rows
    labelled = join_labels(answers, _labels(store, answers, version))
    registry = Registry(store)
    try:
        reference = read_reference_rows(store, registry.read(verdict.mode, verdict.release))
        guess = estimate(reference, answers)
    except (ReleaseError, ObjectMissingError) as error:  # the window's verdict says so, too
        logger.warning("no estimate: %s", error)
        guess = None
    return WindowAccuracy(
        mode=verdict.mode,
        release=verdict.release,
        window_start=verdict.window_start,
        window_end=verdict.window_end,
        answers=len(answers),
        keyed=int(answers[list(KEY)].notna().all(axis=1).sum()),
        table_version=version,
        estimate=guess,
        measured=measure(len(answers), labelled),
        rivalry=_compare(registry, verdict.mode, parent, labelled) if parent else None,
    )


def _labels(store: ObjectStore, answers: pd.DataFrame, version: int | None) -> pd.DataFrame:
    """The labels of the nights that the answers are about."""
    nights = answers["mjd"].dropna()
    if version is None or nights.empty:
        return pd.DataFrame(columns=[*KEY, "class"])
    span = (int(nights.min()), int(nights.max()))
    return ObservationsTable(store.settings).read(version, [*KEY, "class"], nights=span)


def _compare(registry: Registry, mode: Mode, parent: str, labelled: pd.DataFrame) -> Rivalry | None:
    """Ask a release's parent about the rows that the release was asked about."""
    if labelled.empty:
        return None
    try:
        with tempfile.TemporaryDirectory() as folder:
            registry.download(registry.read(mode, parent), Path(folder))
            model = load_model(Path(folder))
    except (ReleaseError, ObjectMissingError) as error:
        logger.warning("no comparison with the parent: %s", error)
        return None
    best = model.probabilities(labelled[list(INPUTS[mode])]).argmax(axis=1)
    true = labelled["class"].to_numpy()
    by_parent = np.array(CLASSES, dtype=object)[best] == true
    by_release = labelled["predicted"].to_numpy() == true
    return Rivalry(
        parent=parent,
        rows=len(labelled),
        only_release=int((by_release & ~by_parent).sum()),
        only_parent=int((by_parent & ~by_release).sum()),
    )
