"""The accuracy job: joins late labels to past windows and stores `accuracy.json` for each.

Labels arrive days after the predictions, so every run checks the recent windows again. A document
records the version of the observations table it was computed from and is replaced only if that
version has changed.
"""

import logging
from datetime import datetime, timedelta
from typing import ClassVar

import pandas as pd

from skyclass.errors import ReleaseError
from skyclass.monitoring.accuracy import MeasuredAccuracy, join_labels, measure_accuracy
from skyclass.monitoring.coverage import LabelSetCoverage, measure_coverage
from skyclass.monitoring.documents import WindowDocument, load_documents, save_document
from skyclass.monitoring.estimate import AccuracyEstimate, estimate_accuracy
from skyclass.monitoring.logged_features import compute_features, read_dust_map
from skyclass.monitoring.stored_sample import load_sample
from skyclass.monitoring.verdict import DriftVerdict
from skyclass.monitoring.windows import Window, read_reference_rows, read_window
from skyclass.promotion.champions import ChampionStore
from skyclass.promotion.lineage import find_parent
from skyclass.registry.documents import Document
from skyclass.registry.models import download_model
from skyclass.registry.releases import Registry, Release
from skyclass.storage.formats import Format
from skyclass.storage.s3 import ObjectMissingError, ObjectStore
from skyclass.survey.features import ALL_INPUTS, INPUTS, Mode, find_groups
from skyclass.survey.observation import KEY, most_probable_classes
from skyclass.tables.observations import ObservationsTable

logger = logging.getLogger(__name__)

MAX_LABEL_DELAY = timedelta(days=14)
"""Windows that ended longer before the newest one are not checked for labels any more."""


class ParentComparison(Document):
    """A release compared with its parent on the same labelled rows.

    Attributes:
        parent: The champion that the release replaced.
        rows: Rows that both predicted.
        only_release: Rows that only the release classified correctly.
        only_parent: Rows that only the parent classified correctly.
    """

    parent: str
    rows: int
    only_release: int
    only_parent: int


class WindowAccuracy(WindowDocument):
    """Accuracy of the predictions of a window.

    Attributes:
        mode: The mode of the release.
        release: The release that predicted.
        window_start: Start of the window (UTC), included.
        window_end: End of the window (UTC), excluded.
        answers: Valid predictions, after sampling.
        keyed: Predictions with a key, to which a label can be joined.
        table_version: Version of the observations table the labels are from; None without a table.
        estimate: Accuracy estimated without labels, if available.
        measured: Accuracy measured with labels, if any has arrived.
        rivalry: Comparison with the parent of the release on the labelled rows, if available.
        label_sets: Achieved coverage of the label sets, if any label has arrived and the release
            has label sets. None in documents of 0.1.0.
    """

    stored_format = Format("accuracy of a window", "0.2.0")

    file_name: ClassVar[str] = "accuracy.json"

    release: str
    window_start: datetime
    answers: int
    keyed: int
    table_version: int | None
    estimate: AccuracyEstimate | None
    measured: MeasuredAccuracy | None
    rivalry: ParentComparison | None
    label_sets: LabelSetCoverage | None = None


def update_accuracy(
    store: ObjectStore, champions: ChampionStore, mode: Mode
) -> list[WindowAccuracy]:
    """Join new labels to the recent windows of a mode.

    A window whose rows have expired keeps its document.

    Args:
        store: The object store.
        champions: Where the parents of releases are looked up.
        mode: The mode of the windows.

    Returns:
        The documents that were written, oldest window first.

    Raises:
        StoreError: The object store failed.
    """
    newest = load_documents(store, DriftVerdict, mode, last=1)
    if not newest:
        return []
    since = newest[0].window_end - MAX_LABEL_DELAY
    earlier = {
        document.window_end: document
        for document in load_documents(store, WindowAccuracy, mode, since=since)
    }
    version = ObservationsTable(store.settings).newest_version()
    promotions = champions.list_promotions(mode)
    updated = []
    for verdict in load_documents(store, DriftVerdict, mode, since=since):
        document = earlier.get(verdict.window_end)
        if document and not _is_outdated(document, verdict, version):
            continue
        computed = _compute_accuracy(
            store, verdict, version, find_parent(promotions, verdict.release)
        )
        if document and computed.answers < verdict.window_rows:
            logger.warning(
                "the window that ended at %s has %d rows of %d left: the log has expired, its "
                "accuracy is kept",
                verdict.window_end.isoformat(),
                computed.answers,
                verdict.window_rows,
            )
            continue
        save_document(store, computed)
        updated.append(computed)
    return updated


def _is_outdated(document: WindowAccuracy, verdict: DriftVerdict, version: int | None) -> bool:
    """Whether the window was evaluated again, or labels may have arrived since."""
    is_complete = document.measured is not None and document.measured.rows == document.keyed
    was_reevaluated = (document.release, document.answers) != (verdict.release, verdict.window_rows)
    return was_reevaluated or (document.table_version != version and not is_complete)


def _compute_accuracy(
    store: ObjectStore, verdict: DriftVerdict, version: int | None, parent: str | None
) -> WindowAccuracy:
    registry = Registry(store)
    release = _read_release(registry, verdict)
    predictions = _read_predictions(store, verdict, release)
    labelled = join_labels(predictions, _read_labels(store, predictions, version))
    estimate = coverage = None
    if release:
        try:
            coverage = _measure_coverage(
                registry, release, labelled, store.settings.label_set_coverage
            )
            estimate = estimate_accuracy(read_reference_rows(store, release), predictions)
        except ReleaseError as error:  # also the reason of the window's verdict
            logger.warning("accuracy is not estimated: %s", error)
    return WindowAccuracy(
        mode=verdict.mode,
        release=verdict.release,
        window_start=verdict.window_start,
        window_end=verdict.window_end,
        answers=len(predictions),
        keyed=int(predictions[list(KEY)].notna().all(axis=1).sum()),
        table_version=version,
        estimate=estimate,
        measured=measure_accuracy(len(predictions), labelled),
        rivalry=_compare(registry, verdict.mode, parent, labelled) if parent else None,
        label_sets=coverage,
    )


def _read_predictions(
    store: ObjectStore, verdict: DriftVerdict, release: Release | None
) -> pd.DataFrame:
    """Return the sample of a window; windows of older versions are read from the log."""
    stored = load_sample(store, verdict)
    if stored is not None:
        return stored
    bands = tuple(release.manifest.missing_bands) if release else ()
    window = Window(verdict.mode, verdict.release, verdict.window_start, verdict.window_end, bands)
    return read_window(store, window).rows


def _read_release(registry: Registry, verdict: DriftVerdict) -> Release | None:
    try:
        return registry.read(verdict.mode, verdict.release)
    except (ReleaseError, ObjectMissingError) as error:
        logger.warning("neither accuracy nor coverage is estimated: %s", error)
        return None


def _measure_coverage(
    registry: Registry, release: Release, labelled: pd.DataFrame, promise: float
) -> LabelSetCoverage | None:
    label_sets, names = release.manifest.label_sets, release.manifest.features
    if label_sets is None or labelled.empty:
        return None
    features = compute_features(labelled, release.mode, names, read_dust_map(registry, release))
    return measure_coverage(labelled, label_sets, find_groups(features, names), promise)


def _read_labels(
    store: ObjectStore, predictions: pd.DataFrame, version: int | None
) -> pd.DataFrame:
    """Read the labels of the nights in which the predicted objects were observed."""
    nights = predictions["mjd"].dropna()
    if version is None or nights.empty:
        return pd.DataFrame(columns=[*KEY, "class"])
    span = (int(nights.min()), int(nights.max()))
    return ObservationsTable(store.settings).read(version, [*KEY, "class"], nights=span)


def _compare(
    registry: Registry, mode: Mode, parent: str, labelled: pd.DataFrame
) -> ParentComparison | None:
    """Predict the labelled rows with the parent, and count what only one release got right.

    Rows without a band are left out: not every release predicts them.
    """
    labelled = labelled.dropna(subset=list(INPUTS[mode]))
    if labelled.empty:
        return None
    try:
        model = download_model(registry, registry.read(mode, parent))
    except (ReleaseError, ObjectMissingError) as error:
        logger.warning("the release is not compared with its parent: %s", error)
        return None
    probabilities = model.predict_probabilities(labelled[list(ALL_INPUTS[mode])])
    true = labelled["class"].to_numpy()
    parent_correct = most_probable_classes(probabilities) == true
    release_correct = labelled["predicted"].to_numpy() == true
    return ParentComparison(
        parent=parent,
        rows=len(labelled),
        only_release=int((release_correct & ~parent_correct).sum()),
        only_parent=int((parent_correct & ~release_correct).sum()),
    )
