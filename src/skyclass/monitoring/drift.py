"""The drift job: judges one window and leaves the report and the verdict in the reports bucket."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pandas as pd
from pydantic import ValidationError

from skyclass.errors import MonitoringError, ReleaseError
from skyclass.monitoring import report
from skyclass.monitoring.policy import (
    POLICY,
    Judgement,
    class_shares,
    drift_frame,
    judge,
)
from skyclass.monitoring.verdict import ClassShares, DriftVerdict, Verdict
from skyclass.monitoring.windows import (
    DAY,
    SEED,
    Accounting,
    Window,
    bounds,
    read_reference_rows,
    read_window,
)
from skyclass.promotion.champions import ChampionStore
from skyclass.registry.manifest import Document
from skyclass.registry.releases import Registry, Release
from skyclass.storage.s3 import ObjectMissingError, ObjectStore
from skyclass.survey.features import Mode

logger = logging.getLogger(__name__)

DRIFT_PREFIX = "drift"
REPORT = "report.html"
SNAPSHOT = "snapshot.json.gz"
VERDICT = "verdict.json"

D = TypeVar("D", bound=Document)


@dataclass(frozen=True)
class DriftResult:
    """What a drift job left behind.

    Attributes:
        verdict: The verdict.
        prefix: Where the report and the verdict lie in the reports bucket.
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
    """Judge one window of the champion's answers.

    The verdict is written last, so a kill before it leaves none. A window that is judged again
    stays the window of the release that it was judged of, whoever is champion by then, and where
    the verdict is the same nothing changes.

    Args:
        store: The object store.
        champions: Name the champion.
        mode: Whose champion.
        start: The window's start, included.
        end: The window's end, excluded.
        length: Without bounds the window is the last whole period of this length: yesterday from
            midnight to midnight UTC, for an hourly job the previous hour. A CronJob of that period
            thus judges every row once, and the same window again when it is retried.

    Raises:
        MonitoringError: Nothing is being served, or the bounds make no window.
        StoreError: The object store failed.
    """
    begin, finish = bounds(start, end, datetime.now(UTC), length)
    prefix = report_prefix(mode, finish)
    before = _judged_before(store, prefix)
    release = Registry(store).read(mode, before.release) if before else champions.get_champion(mode)
    if release is None:
        raise MonitoringError(
            f"nothing is being served in {mode} mode: run training first (`skyclass run training`)"
        )
    window = Window(mode, release.id, begin, finish)
    found = read_window(store, window)
    # In time order and with an index of times Evidently draws each column over the window.
    rows = found.rows.set_index(found.rows["time"].dt.tz_localize(None)).sort_index(kind="stable")
    current = drift_frame(rows, mode)
    try:
        reference = drift_frame(read_reference_rows(store, release), mode)
        judgement = judge(reference, current, found.accounting)
    except ReleaseError as error:  # no later window can be judged either: the pages must show it
        reference = current.head(0)
        judgement = Judgement(Verdict.ERROR, str(error))
    verdict = _conclude(release, window, found.accounting, judgement, reference, current)
    result = DriftResult(verdict, prefix)
    if verdict == before:
        logger.info("judged before: %s: %s", verdict.verdict, verdict.reason)
        return result
    rendered = report.render(verdict, reference, current)
    bucket = store.settings.reports_bucket
    store.put(bucket, prefix + REPORT, rendered.html, "text/html; charset=utf-8")
    store.put(bucket, prefix + SNAPSHOT, rendered.snapshot, "application/gzip")
    store.put(bucket, prefix + VERDICT, verdict.to_bytes(), "application/json")
    logger.info("%s: %s", verdict.verdict, verdict.reason)
    return result


def reports(
    store: ObjectStore, mode: Mode, last: int | None = None, since: datetime | None = None
) -> list[DriftVerdict]:
    """The verdicts of a mode, the oldest window first.

    Args:
        store: The object store.
        mode: Whose windows.
        last: Only this many of the newest windows; all when not given.
        since: Only windows that ended then or later; all when not given.
    """
    return read_documents(store, DriftVerdict, VERDICT, mode, last, since)


def read_documents(
    store: ObjectStore,
    kind: type[D],
    name: str,
    mode: Mode,
    last: int | None = None,
    since: datetime | None = None,
) -> list[D]:
    """The documents of one name that lie beside the reports of a mode, the oldest window first.

    Args:
        store: The object store.
        kind: What they are.
        name: Their name.
        mode: Whose windows.
        last: Only this many of the newest windows; all when not given.
        since: Only windows that ended then or later; all when not given.
    """
    bucket, first = store.settings.reports_bucket, report_prefix(mode, since) if since else ""
    # The names of windows are times, so the order of the keys is that of the windows.
    keys = [
        key
        for key in store.list_keys(bucket, f"{DRIFT_PREFIX}/{mode}/")
        if key.endswith(f"/{name}") and key >= first
    ]
    found = []
    for key in keys[-last:] if last else keys:
        try:
            found.append(kind.model_validate_json(store.get(bucket, key)))
        except ValidationError as error:
            logger.warning("%s is not of this version (%s), left out", key, error.title)
    return found


def report_prefix(mode: Mode, window_end: datetime) -> str:
    """Where the report and the verdict of a window lie in the reports bucket."""
    return f"{DRIFT_PREFIX}/{mode}/{window_end.astimezone(UTC):%Y%m%dT%H%M%SZ}/"


def _judged_before(store: ObjectStore, prefix: str) -> DriftVerdict | None:
    """The verdict on a window, if it has been judged, and by a rule of this version."""
    try:
        data = store.get(store.settings.reports_bucket, prefix + VERDICT)
        return DriftVerdict.model_validate_json(data)
    except (ObjectMissingError, ValidationError):
        return None


def _conclude(
    release: Release,
    window: Window,
    accounting: Accounting,
    judgement: Judgement,
    reference: pd.DataFrame,
    current: pd.DataFrame,
) -> DriftVerdict:
    training_set = release.manifest.training_set
    return DriftVerdict(
        verdict=judgement.verdict,
        reason=judgement.reason,
        mode=window.mode,
        release=window.release,
        window_start=window.start,
        window_end=window.end,
        accounting=accounting,
        window_rows=len(current),
        reference_rows=len(reference),
        columns=judgement.columns,
        predictions=judgement.predictions,
        class_shares=ClassShares(reference=class_shares(reference), window=class_shares(current)),
        training_rows=training_set.rows,
        synthetic_rows=training_set.synthetic_rows,
        policy=POLICY,
        seed=SEED,
    )
