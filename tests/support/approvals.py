"""A champion, and releases that wait for an approval."""

from pathlib import Path

from skyclass.promotion.approvals import ApprovalLog
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import Registry, Release
from skyclass.registry.verdicts import Check, GateVerdict, Outcome
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.releases import draft, write_files

MODE = Mode.PHOTOMETRIC
REVIEW = Check(
    group="traffic",
    subject="disagreement with the champion, r > 22",
    test="Wilson lower bound",
    rows=1_250,
    challenger=0.3421,
    limit=0.25,
    outcome=Outcome.REVIEW,
)


def publish_champion(store: ObjectStore, folder: Path) -> Release:
    """Publish and promote a first release."""
    release = Registry(store).publish(draft(MODE, run_id="run-1"), write_files(folder))
    LocalChampionStore(store).promote(release, "first of its mode", "run-1")
    return release


def publish_waiting(store: ObjectStore, folder: Path, run_id: str = "run-2") -> Release:
    """Publish a release that was compared with the champion and waits for an approval."""
    champion = LocalChampionStore(store).get_champion(MODE)
    gate = GateVerdict(
        passed=True,
        reason="not worse than the champion",
        champion=champion.id if champion else None,
        challenger_macro_f1=0.9,
        rows=2_000,
        checks=(REVIEW,),
    )
    release = Registry(store).publish(draft(MODE, run_id=run_id, gate=gate), write_files(folder))
    ApprovalLog(store).request(release, f"{REVIEW.subject} 0.3421 (limit 0.25, 1,250 rows)")
    return release
