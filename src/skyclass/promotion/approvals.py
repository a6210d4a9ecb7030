"""Releases that wait for an approval, and what was decided about them, in the models bucket.

The objects `promotions/approvals/<mode>/<id of the release>/request.json` and, for each decision,
`<time>.json` beside it. Every identity that may read or write promotions may do the same here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from skyclass.promotion.events import PROMOTIONS_PREFIX
from skyclass.registry.documents import D, StoredDocument, parse_document
from skyclass.registry.releases import Release
from skyclass.storage.formats import Format
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode

APPROVALS_PREFIX = f"{PROMOTIONS_PREFIX}/approvals"

_REQUEST = "request.json"
_TICK = timedelta(microseconds=1)


class ApprovalRequest(StoredDocument):
    """A published release waits for an approval. Its manifest has the evidence.

    Attributes:
        mode: Mode of the release.
        release: Id of the release.
        champion: The champion that it was compared with; None if there was none.
        run_id: The pipeline run that published it.
        reason: Why it waits.
        time: When it began to wait (UTC).
    """

    stored_format = Format("request for approval", "0.2.0")

    mode: Mode
    release: str
    champion: str | None
    run_id: str
    reason: str
    time: datetime


class ApprovalDecision(StoredDocument):
    """What a person decided about a release.

    Attributes:
        mode: Mode of the release.
        release: Id of the release.
        approved: Whether it may be promoted.
        by: Who decided.
        reason: Why.
        time: When (UTC).
    """

    stored_format = Format("decision about a release", "0.2.0")

    mode: Mode
    release: str
    approved: bool
    by: str
    reason: str
    time: datetime


class ApprovalState(StrEnum):
    """State of a release that a person decides about."""

    WAITING = "waiting"
    APPROVED = "approved"
    DECLINED = "declined"
    SUPERSEDED = "superseded"
    """A newer release waits, or the champion is not the one that it was compared with."""


@dataclass(frozen=True)
class Approval:
    """A release that waited for an approval, or was promoted or declined by a person.

    Attributes:
        release: Id of the release.
        request: Why it waits; None if it was never waiting, as after a failed gate.
        decision: The newest decision, if there is one.
        state: Derived from both, from newer requests and from the champion.
    """

    release: str
    request: ApprovalRequest | None
    decision: ApprovalDecision | None
    state: ApprovalState


class ApprovalLog:
    """Reads and writes requests and decisions."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._bucket = store.settings.models_bucket

    def request(self, release: Release, reason: str) -> ApprovalRequest:
        """Let a release wait, if it does not yet; it supersedes those of its mode that wait."""
        manifest = release.manifest
        requests, _ = self._read(release.mode)
        if release.id in requests:
            return requests[release.id]
        request = ApprovalRequest(
            mode=release.mode,
            release=release.id,
            champion=manifest.gate.champion,
            run_id=manifest.run_id,
            reason=reason,
            time=_make_later_time(requests.values()),
        )
        self._put(release, _REQUEST, request)
        return request

    def decide(self, release: Release, approved: bool, by: str, reason: str) -> ApprovalDecision:
        """Record a decision about a release; it replaces earlier ones, which are kept."""
        _, decisions = self._read(release.mode)
        previous = decisions.get(release.id)
        decision = ApprovalDecision(
            mode=release.mode,
            release=release.id,
            approved=approved,
            by=by,
            reason=reason,
            time=_make_later_time([previous] if previous else []),
        )
        self._put(release, f"{decision.time:%Y%m%dT%H%M%S.%fZ}.json", decision)
        return decision

    def list_approvals(self, mode: Mode, champion_id: str | None) -> list[Approval]:
        """Return all releases of a mode that waited or were decided about, oldest first.

        Args:
            mode: The mode.
            champion_id: The current champion, if there is one.

        Raises:
            ReleaseError: A document is malformed.
        """
        requests, decisions = self._read(mode)
        newest = max(requests.values(), key=lambda each: each.time, default=None)
        approvals = []
        for release in requests.keys() | decisions.keys():
            request, decision = requests.get(release), decisions.get(release)
            if decision:
                state = ApprovalState.APPROVED if decision.approved else ApprovalState.DECLINED
            elif request == newest and newest and newest.champion == champion_id:
                state = ApprovalState.WAITING
            else:
                state = ApprovalState.SUPERSEDED
            approvals.append(Approval(release, request, decision, state))
        return sorted(approvals, key=_get_time)

    def find(self, release: Release, champion_id: str | None) -> Approval | None:
        """Return the approval of a release, or None if it never waited or was decided about."""
        return find_approval(self.list_approvals(release.mode, champion_id), release.id)

    def _read(self, mode: Mode) -> tuple[dict[str, ApprovalRequest], dict[str, ApprovalDecision]]:
        """Read the request and the newest decision of each release, by its id."""
        requests, newest_decisions = [], {}
        for key in self._store.list_keys(self._bucket, f"{APPROVALS_PREFIX}/{mode}/"):
            folder, _, name = key.rpartition("/")
            if name == _REQUEST:
                requests.append(self._parse(ApprovalRequest, key))
            else:  # keys have the time, so the last of a release is the newest
                newest_decisions[folder] = key
        decisions = [self._parse(ApprovalDecision, key) for key in newest_decisions.values()]
        return {each.release: each for each in requests}, {each.release: each for each in decisions}

    def _parse(self, kind: type[D], key: str) -> D:
        return parse_document(kind, self._store.get(self._bucket, key), key)

    def _put(self, release: Release, name: str, document: StoredDocument) -> None:
        key = f"{APPROVALS_PREFIX}/{release.mode}/{release.id}/{name}"
        self._store.put(self._bucket, key, document.to_bytes(), "application/json")


def find_approval(approvals: Iterable[Approval], release_id: str | None) -> Approval | None:
    """Return the approval of a release, or None."""
    return next((each for each in approvals if each.release == release_id), None)


def find_waiting(approvals: Iterable[Approval]) -> Approval | None:
    """Return the release that waits, or None; at most one of a mode does."""
    return next((each for each in approvals if each.state is ApprovalState.WAITING), None)


def _make_later_time(earlier: Iterable[ApprovalRequest | ApprovalDecision]) -> datetime:
    """Return the current time, or one after all earlier documents: another clock may be ahead."""
    return max([datetime.now(UTC), *(each.time + _TICK for each in earlier)])


def _get_time(approval: Approval) -> datetime:
    return min(each.time for each in (approval.request, approval.decision) if each)
