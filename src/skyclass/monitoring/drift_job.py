"""The drift job: evaluates one window and stores report, snapshot, sample and verdict."""

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pandas as pd
from pydantic import ValidationError

from skyclass.errors import MonitoringError, ReleaseError
from skyclass.monitoring import report
from skyclass.monitoring.accounting import Accounting
from skyclass.monitoring.documents import REPORT, SNAPSHOT, save_document, window_prefix
from skyclass.monitoring.drift_policy import (
    POLICY,
    PolicyResult,
    compute_class_shares,
    compute_out_of_domain_share,
    evaluate_window,
    make_drift_frame,
)
from skyclass.monitoring.logged_features import read_dust_map
from skyclass.monitoring.stored_sample import save_sample
from skyclass.monitoring.verdict import ClassShares, DriftVerdict, Verdict
from skyclass.monitoring.windows import (
    DAY,
    SEED,
    Window,
    read_reference_rows,
    read_window,
    resolve_bounds,
)
from skyclass.promotion.champions import ChampionStore
from skyclass.registry.manifest import TrainingSet
from skyclass.registry.releases import Registry
from skyclass.storage.s3 import ObjectMissingError, ObjectStore
from skyclass.survey.features import Mode

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DriftResult:
    """Result of the drift job.

    Attributes:
        verdict: The verdict.
        prefix: Prefix of report and verdict in the reports bucket.
    """

    verdict: DriftVerdict
    prefix: str


def run_drift(
    store: ObjectStore,
    champions: ChampionStore,
    mode: Mode,
    start: datetime | None = None,
    end: datetime | None = None,
    length: timedelta = DAY,
) -> DriftResult:
    """Evaluate one window of the champion's predictions.

    The job is idempotent: a window that was evaluated before keeps its release, whoever is
    champion now, and nothing is written if the verdict is the same, or if rows of the window have
    expired since. The verdict is written last, so an interrupted job leaves none.

    Args:
        store: The object store.
        champions: Where the champion is looked up.
        mode: The mode of the champion.
        start: Start of the window, included.
        end: End of the window, excluded.
        length: Without bounds, the window is the last whole period of this length.

    Raises:
        MonitoringError: There is no champion, or the bounds are invalid.
        StoreError: The object store failed.
    """
    now = datetime.now(UTC)
    window_start, window_end = resolve_bounds(start, end, now, length)
    if window_end > now:
        logger.warning(
            "the window ends in the future, at %s UTC: nothing is decided after it; evaluate it "
            "again when it has ended",
            f"{window_end:%Y-%m-%d %H:%M:%S}",
        )
    prefix = window_prefix(mode, window_end)
    earlier = _load_earlier_verdict(store, prefix)
    release = (
        Registry(store).read(mode, earlier.release) if earlier else champions.get_champion(mode)
    )
    if release is None:
        raise MonitoringError(
            f"no {mode} champion: run training first (`skyclass run training --mode {mode}`)"
        )
    names = release.manifest.features
    bands = tuple(release.manifest.missing_bands)
    window = Window(mode, release.id, window_start, window_end, bands)
    logged = read_window(store, window)
    if earlier and _has_expired(window, logged.accounting, earlier):
        logger.warning(
            "the window has %d rows, and had %d when it was evaluated: the log has expired, the "
            "verdict is kept",
            logged.accounting.rows_in,
            earlier.accounting.rows_in,
        )
        return DriftResult(earlier, prefix)
    # Evidently plots columns over time only if the frame is sorted and indexed by naive times.
    rows = logged.rows.set_index(logged.rows["time"].dt.tz_localize(None))
    try:
        dust_map = read_dust_map(Registry(store), release)
        current = make_drift_frame(rows, mode, names, dust_map)
        reference = make_drift_frame(read_reference_rows(store, release), mode, names, dust_map)
        outcome = evaluate_window(reference, current, logged.accounting)
    except ReleaseError as error:  # permanent for this release, so it is a verdict, not a failure
        current = make_drift_frame(rows, mode, names)
        reference = current.head(0)
        outcome = PolicyResult(Verdict.ERROR, str(error))
    verdict = make_verdict(
        window, outcome, logged.accounting, reference, current, release.manifest.training_set
    )
    logger.info("%s: %s", verdict.verdict, verdict.reason)
    if earlier and _is_same(verdict, earlier):
        logger.info("the verdict is unchanged, nothing is written")
        return DriftResult(earlier, prefix)
    rendered = report.render(verdict, reference, current)
    bucket = store.settings.reports_bucket
    store.put(bucket, prefix + REPORT, rendered.html, "text/html; charset=utf-8")
    store.put(bucket, prefix + SNAPSHOT, rendered.snapshot, "application/gzip")
    save_sample(store, verdict, logged.rows)
    save_document(store, verdict)
    return DriftResult(verdict, prefix)


def make_verdict(
    window: Window,
    outcome: PolicyResult,
    accounting: Accounting,
    reference: pd.DataFrame,
    current: pd.DataFrame,
    training_set: TrainingSet,
) -> DriftVerdict:
    """Return the verdict document of an evaluated window.

    Args:
        window: The window.
        outcome: Outcome of the drift policy.
        accounting: Counts of the rows of the window.
        reference: Drift frame of the reference.
        current: Drift frame of the window.
        training_set: What the release was trained on.
    """
    return DriftVerdict(
        verdict=outcome.verdict,
        reason=outcome.reason,
        mode=window.mode,
        release=window.release,
        window_start=window.start,
        window_end=window.end,
        accounting=accounting,
        window_rows=len(current),
        reference_rows=len(reference),
        columns=outcome.columns,
        predictions=outcome.predictions,
        class_shares=ClassShares(
            reference=compute_class_shares(reference), window=compute_class_shares(current)
        ),
        out_of_domain=compute_out_of_domain_share(current),
        training_rows=training_set.rows,
        synthetic_rows=training_set.synthetic_rows,
        policy=POLICY,
        seed=SEED,
    )


def _has_expired(window: Window, accounting: Accounting, earlier: DriftVerdict) -> bool:
    """Whether rows of an evaluated window were deleted: the log of a window only grows."""
    return (
        window.start == earlier.window_start
        and accounting.rows_in < earlier.accounting.rows_in
        and accounting.unreadable_files <= earlier.accounting.unreadable_files
    )


def _is_same(verdict: DriftVerdict, earlier: DriftVerdict) -> bool:
    """Whether a verdict is the same as an earlier one.

    The wording of the reason may differ between versions, and the number of files before and after
    `skyclass maintain` has merged them.
    """
    accounting = replace(verdict.accounting, files=earlier.accounting.files)
    update = {"reason": earlier.reason, "accounting": accounting}
    return verdict.model_copy(update=update) == earlier


def _load_earlier_verdict(store: ObjectStore, prefix: str) -> DriftVerdict | None:
    """Return the stored verdict on a window; None if missing or malformed."""
    key = prefix + DriftVerdict.file_name
    try:
        data = store.get(store.settings.reports_bucket, key)
        return DriftVerdict.from_bytes(data, key)
    except (ObjectMissingError, ValidationError):
        return None
