"""A Delta Lake table on S3 in which each key stands once, whoever writes and however often."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from skyclass.errors import StoreError
from skyclass.settings import Settings
from skyclass.storage.key_index import KeyIndex
from skyclass.storage.s3 import s3_error, unreachable_error

TRIES = 20
"""How often a change is begun anew because another writer was faster."""

_KEEP_EVERY_VERSION = {"delta.enableExpiredLogCleanup": "false"}
"""Else delta-rs forgets the versions of more than 30 days ago, and training sets with them."""


@dataclass(frozen=True)
class MergeResult:
    """What a merge did to the table.

    Attributes:
        inserted: Rows whose key was new.
        updated: Rows whose key was there with other values.
        version: The table's version afterwards.
    """

    inserted: int
    updated: int
    version: int


@dataclass(frozen=True)
class TableSpec:
    """What a table looks like.

    Attributes:
        prefix: Where it lies in the data bucket.
        schema: Its columns.
        partition: The column by which its files are kept apart; a key never changes its partition.
        key: The columns that identify a row.
        values: The columns that may be corrected.
        origin: The columns that say where the values came from; they follow a correction.
        what: What is in it, for messages.
        begin: How the table comes to be, for messages.
    """

    prefix: str
    schema: pa.Schema
    partition_column: str
    key: tuple[str, ...]
    values: tuple[str, ...]
    provenance: tuple[str, ...]
    description: str
    missing_hint: str


class KeyedTable:
    """A table of unique keys, changed in transactions, read at a version."""

    def __init__(self, settings: Settings, spec: TableSpec) -> None:
        """Name the table; nothing is contacted yet."""
        self.uri = f"s3://{settings.data_bucket}/{spec.prefix}"
        self._spec = spec
        self._endpoint = settings.endpoint_url
        self._options = make_storage_options(settings)
        self._known = KeyIndex(spec.key)
        self._table: DeltaTable | None = None

    def merge(
        self,
        rows: pa.Table,
        watermark_id: str,
        since: int,
        watermark: int,
        *,
        always: bool = False,
    ) -> MergeResult:
        """Insert rows with new keys and correct those with other values, in one transaction.

        The source's watermark is committed with the rows, so a kill loses and doubles nothing.
        A null never overwrites a value: a row that comes again without its label keeps the label.
        Rows that are there already make no new version, unless the watermark is to be kept always.

        A change is committed as the very next version after the one that was looked at, or begun
        anew: between two writers nothing is lost, doubled or undone.

        Args:
            rows: Columns of the schema; each key at most once.
            watermark_id: Names the source (a Delta application id).
            since: How far the source had been read before these rows.
            watermark: How far the source has been read with these rows.
            always: Whether the watermark is committed even where nothing else changes.

        Raises:
            StoreError: The object store failed, or another writer has got further with the same
                source, and these rows might undo its corrections.
        """
        commit = CommitProperties(
            max_commit_retries=0, app_transactions=[Transaction(watermark_id, watermark)]
        )
        for _ in range(TRIES):
            with self._translate_errors():
                table = self._newest()
                if (table.transaction_version(watermark_id) or 0) > since:
                    raise StoreError(
                        f"another run has overtaken this one of {watermark_id.partition('#')[0]}: "
                        "nothing was lost, wait for it to end"
                    )
                looked_at = table.version()
                try:
                    done = MergeResult(inserted=0, updated=0, version=looked_at)
                    if rows.num_rows and self._known.are_new(rows, table):
                        return self._append(table, rows, commit)
                    if rows.num_rows:
                        done = self._upsert(table, rows, commit)
                    if always and done.version == looked_at:
                        done = self._append(table, rows.slice(0, 0), commit)
                    return done
                except CommitFailedError:
                    if self._open(None).version() == looked_at:
                        raise
        raise StoreError(f"others write to {self.uri} without a pause: wait for them to end")

    def watermark(self, watermark_id: str) -> int:
        """How far a source has been read: 0 when it, or the table, is new."""
        with self._translate_errors():
            try:
                return self._open(None).transaction_version(watermark_id) or 0
            except TableNotFoundError:
                return 0

    def newest_version(self) -> int | None:
        """The newest version of the table; none when there is no table yet."""
        with self._translate_errors():
            try:
                return self._open(None).version()
            except TableNotFoundError:
                return None

    def version(self) -> int:
        """The newest version of the table."""
        with self._translate_errors():
            return self._open(None).version()

    def _append(self, table: DeltaTable, rows: pa.Table, commit: CommitProperties) -> MergeResult:
        looked_at, before = table.version(), _paths(table)
        # Measurements hardly repeat: looking for repetitions takes half of the time of a write.
        plain = ColumnProperties(dictionary_enabled=False)
        numbers = [each.name for each in rows.schema if pa.types.is_floating(each.type)]
        write_deltalake(
            table,
            rows,
            mode="append",
            commit_properties=commit,
            writer_properties=WriterProperties(column_properties=dict.fromkeys(numbers, plain)),
        )
        table.update_incremental()
        if rows.num_rows and table.version() == looked_at + 1:  # nobody else's files are new
            self._known.add(rows, _paths(table) - before)
        return MergeResult(inserted=rows.num_rows, updated=0, version=table.version())

    def _upsert(self, table: DeltaTable, rows: pa.Table, commit: CommitProperties) -> MergeResult:
        spec = self._spec
        news = " OR ".join(
            f"(s.`{name}` IS NOT NULL AND s.`{name}` IS DISTINCT FROM t.`{name}`)"
            for name in spec.values
        )
        values = {f"t.`{name}`": f"COALESCE(s.`{name}`, t.`{name}`)" for name in spec.values}
        origin = {f"t.`{name}`": f"s.`{name}`" for name in spec.provenance}
        same = " AND ".join(
            f"t.`{name}` = s.`{name}`" for name in (spec.partition_column, *spec.key)
        )
        did = (
            table.merge(
                rows,
                predicate=same,
                source_alias="s",
                target_alias="t",
                streamed_exec=False,  # the rows' bounds then say which files need not be read
                commit_properties=commit,
            )
            .when_matched_update(updates={**values, **origin}, predicate=news)
            .when_not_matched_insert_all()
            .execute()
        )
        table.update_incremental()
        return MergeResult(
            inserted=did["num_target_rows_inserted"],
            updated=did["num_target_rows_updated"],
            version=table.version(),
        )

    def _newest(self) -> DeltaTable:
        """The table at its newest version; made where there is none."""
        if self._table is None:
            self._table = self._create()
        else:
            self._table.update_incremental()
        return self._table

    def _create(self) -> DeltaTable:
        try:
            return DeltaTable.create(
                self.uri,
                self._spec.schema,
                mode="ignore",
                partition_by=[self._spec.partition_column],
                configuration=_KEEP_EVERY_VERSION,
                storage_options=self._options,
            )
        except CommitFailedError:  # another writer made it at the same time
            return self._open(None)

    def _open(self, version: int | None) -> DeltaTable:
        return DeltaTable(self.uri, version=version, storage_options=self._options)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except TableNotFoundError as error:
            raise StoreError(
                f"the {self._spec.description} table {self.uri} does not exist, or not at that "
                f"version: {self._spec.missing_hint}"
            ) from error
        except (DeltaError, OSError) as error:
            raise self._explain(str(error)) from error

    def _explain(self, report: str) -> StoreError:
        code = re.search(r"<Code>(\w+)</Code>", report)
        if code:
            return s3_error(code[1], self.uri)
        if "specified end version" in report:
            return StoreError(f"{self.uri} has no such version yet: ask for an earlier one")
        if is_connection_error(report):
            return unreachable_error(self._endpoint, "no connection")
        gist = " ".join(report.replace("\x1b[31m↳\x1b[0m", "").split())[:200]
        return StoreError(f"{self.uri} failed ({gist}): nothing was lost, do the same again")


def is_connection_error(report: str) -> bool:
    """Whether delta-rs, or Arrow's S3 client, reports that nobody answers any more."""
    signs = ("error sending request", "HTTP error", "response body", "NETWORK_CONNECTION")
    return any(sign in report for sign in signs)


def _paths(table: DeltaTable) -> set[str]:
    """The table's files."""
    return set(pa.table(table.get_add_actions())["path"].to_pylist())


def make_storage_options(settings: Settings) -> dict[str, str]:
    """The storage options of delta-rs, with the same deadlines as every other S3 call."""
    longest = (settings.s3_retries + 1) * (settings.s3_connect_seconds + settings.s3_read_seconds)
    return {
        "AWS_ENDPOINT_URL": settings.endpoint_url,
        "AWS_ACCESS_KEY_ID": settings.access_key_id,
        "AWS_SECRET_ACCESS_KEY": settings.secret_access_key.get_secret_value(),
        "AWS_REGION": settings.region,
        "AWS_ALLOW_HTTP": "true",
        "connect_timeout": f"{settings.s3_connect_seconds}s",
        "timeout": f"{settings.s3_read_seconds}s",
        "max_retries": str(settings.s3_retries),
        "retry_timeout": f"{longest}s",
    }
