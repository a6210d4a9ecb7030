"""Verification of a store, such as a copy: all that it refers to is there, and is undamaged."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from skyclass.errors import SkyclassError
from skyclass.monitoring.accuracy_job import WindowAccuracy
from skyclass.monitoring.decisions import Decision
from skyclass.monitoring.documents import WindowDocument, list_documents
from skyclass.monitoring.verdict import DriftVerdict
from skyclass.promotion.approvals import ApprovalLog
from skyclass.promotion.events import Promotion, PromotionLog
from skyclass.registry.documents import parse_document
from skyclass.registry.releases import Registry, Release
from skyclass.storage.delta import KeyedTable
from skyclass.storage.s3 import ObjectMissingError, ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.log.layout import HourIndex, read_index
from skyclass.tables.observations import ObservationsTable
from skyclass.tables.predictions import PredictionsTable

logger = logging.getLogger(__name__)

_WINDOW_DOCUMENTS: tuple[type[WindowDocument], ...] = (DriftVerdict, WindowAccuracy, Decision)


@dataclass(frozen=True)
class VerifiedStore:
    """What was verified.

    Attributes:
        releases: Releases, each with the digests of all files.
        promotions: Promotion events, whose releases were found.
        windows: Verdicts, accuracies and decisions of windows that were parsed.
        table_versions: Versions of tables whose data files were found: those that releases were
            trained on, and the newest.
        log_hours: Hours of the log with an index whose files were found.
        problems: What is missing or damaged, one line each.
    """

    releases: int
    promotions: int
    windows: int
    table_versions: int
    log_hours: int
    problems: tuple[str, ...]


def verify_store(store: ObjectStore) -> VerifiedStore:
    """Read all manifests, documents and indexes, and look for everything that they refer to.

    The store may be in use: what refers to objects is read before they are looked for, except an
    hour of the log that is merged meanwhile.

    Raises:
        StoreError: A bucket cannot be listed.
    """
    verification = _Verification(store)
    for mode in Mode:
        verification.verify_releases(mode)
        verification.verify_documents(mode)
    verification.verify_tables()
    verification.verify_log()
    counts = verification.counts
    return VerifiedStore(
        releases=counts["releases"],
        promotions=counts["promotions"],
        windows=counts["windows"],
        table_versions=counts["table_versions"],
        log_hours=counts["log_hours"],
        problems=tuple(verification.problems),
    )


class _Verification:
    """Counts what was verified, and collects problems instead of ending at the first."""

    def __init__(self, store: ObjectStore) -> None:
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self._store = store
        self._trained_on: set[int] = set()

    def verify_releases(self, mode: Mode) -> None:
        registry, releases = Registry(self._store), set()
        promotions: list[Promotion] = []
        with self._collect_problems():
            promotions = PromotionLog(self._store).list_promotions(mode)
        for release_id in registry.list_ids(mode):
            # A publication that ended before its manifest is not a release.
            with self._collect_problems(), suppress(ObjectMissingError):
                self._verify_files(registry, registry.read(mode, release_id))
                releases.add(release_id)
        for event in promotions:
            self.counts["promotions"] += 1
            if event.to_release not in releases:
                self._report(f"release {event.to_release} was promoted, but is missing or damaged")

    def verify_documents(self, mode: Mode) -> None:
        with self._collect_problems():
            ApprovalLog(self._store).list_approvals(mode, None)
        reports = self._store.settings.reports_bucket
        for kind in _WINDOW_DOCUMENTS:
            for key in list_documents(self._store, kind, mode):
                # A document may expire after it was listed.
                with self._collect_problems(), suppress(ObjectMissingError):
                    parse_document(kind, self._store.get(reports, key), key)
                    self.counts["windows"] += 1

    def verify_tables(self) -> None:
        settings = self._store.settings
        observations, predictions = ObservationsTable(settings), PredictionsTable(settings)
        versions: dict[str, int] = {}
        for version in sorted(self._trained_on):
            versions |= self._list_files(observations, version)
        for table in (observations, predictions):
            with self._collect_problems():
                newest = table.newest_version()
                if newest is not None:
                    versions |= self._list_files(table, newest)
        stored = set(self._store.list_keys(settings.data_bucket, ""))
        for key in sorted(versions.keys() - stored):
            self._report(f"{key}: the file is missing, version {versions[key]} has it")

    def verify_log(self) -> None:
        keys = set(self._store.list_keys(self._store.settings.logs_bucket, ""))
        for key in sorted(key for key in keys if key.endswith(f"/{HourIndex.file_name}")):
            self.counts["log_hours"] += 1
            prefix = key.removesuffix(HourIndex.file_name)
            with self._collect_problems():
                for file in read_index(self._store, prefix).merged:
                    if prefix + file.name not in keys:
                        self._report(f"{prefix + file.name}: the file is missing")

    def _verify_files(self, registry: Registry, release: Release) -> None:
        self.counts["releases"] += 1
        self._trained_on.add(release.manifest.training_set.version)
        for entry in release.manifest.files:
            with self._collect_problems():
                registry.read_file(release, entry.path)

    def _list_files(self, table: KeyedTable, version: int) -> dict[str, int]:
        """Return the version by the keys of its data files; nothing if it cannot be read."""
        self.counts["table_versions"] += 1
        with self._collect_problems():
            return dict.fromkeys(table.list_data_files(version), version)
        return {}

    @contextmanager
    def _collect_problems(self) -> Iterator[None]:
        try:
            yield
        except SkyclassError as error:
            self._report(str(error))

    def _report(self, problem: str) -> None:
        logger.error("%s", problem)
        self.problems.append(problem)
