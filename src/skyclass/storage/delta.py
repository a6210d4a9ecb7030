"""Delta Lake tables on S3 with a unique key, for any number of concurrent writers."""

import random
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.fs import DeltaStorageHandler
from pyarrow import fs

from skyclass.errors import StoreError
from skyclass.settings import Settings
from skyclass.storage.delta_errors import explain
from skyclass.storage.delta_options import make_storage_options
from skyclass.storage.formats import PROPERTY
from skyclass.storage.part import PART_ID, MergeResult, Part
from skyclass.storage.table_format import TABLE_FORMAT, check_table
from skyclass.storage.table_spec import TableSpec, Watermark
from skyclass.storage.upsert import upsert

MAX_ATTEMPTS = 50
"""Attempts to commit a part while other writers commit theirs."""

_FIRST_BACKOFF_SECONDS, _MAX_BACKOFF_SECONDS = 0.1, 5.0

_PROPERTIES = {
    # By default, delta-rs drops versions after 30 days, and training sets refer to versions.
    "delta.enableExpiredLogCleanup": "false",
    PROPERTY: TABLE_FORMAT.version,
}


class KeyedTable:
    """A table with a unique key that is changed in transactions and read at a version."""

    def __init__(self, settings: Settings, spec: TableSpec) -> None:
        self.uri = f"s3://{settings.data_bucket}/{spec.prefix}"
        self._spec = spec
        self._endpoint = settings.endpoint_url
        self._options = make_storage_options(settings)
        self._table: DeltaTable | None = None

    def merge(
        self, rows: pa.Table, *watermarks: Watermark, always_commit: bool = False
    ) -> MergeResult:
        """Insert the rows of a part that have new keys, and update those with other values.

        New rows are written to data files, which one commit adds together with the watermarks, so
        that a retry neither loses nor duplicates a row. Known rows are merged: before that commit
        if there are also new rows, otherwise with the watermarks. A null never overwrites a value.
        Without a change there is no new version. Late columns are added before the first rows that
        have values for them, in a version of their own.

        Concurrency is optimistic: a part is committed as the version after the one that its keys
        were compared with. If another writer has committed that version, the part is compared with
        the files that were added since, and is tried again after a random backoff.

        Args:
            rows: Columns of the schema. Of a repeated key, the last value that is not null counts.
            watermarks: The step in each source of the rows.
            always_commit: Whether to commit the watermarks even if no row changes the table.

        Raises:
            StoreError: The object store failed, or another writer has committed later rows of the
                same source, whose corrections these rows might undo.
        """
        part = Part(rows, self._spec)
        for attempt in range(MAX_ATTEMPTS):
            with self._translate_errors():
                table = self._refresh()
                try:
                    merged = self._commit(table, part, watermarks, always_commit)
                except CommitFailedError:
                    if self._open(None).version() == table.version():
                        raise  # not a conflict
                else:
                    if merged:
                        return merged
            _back_off(attempt)
        raise StoreError(
            f"{self.uri}: {MAX_ATTEMPTS} commits conflicted with other writers: try again later"
        )

    def watermark(self, watermark_id: str) -> int:
        """Return the committed position in a source; 0 if the source or the table is new."""
        return self.watermarks([watermark_id])[watermark_id]

    def watermarks(self, watermark_ids: Iterable[str]) -> dict[str, int]:
        """Return the committed position in each source; 0 if the source or the table is new."""
        with self._translate_errors():
            try:
                table = self._open(None)
            except TableNotFoundError:
                return dict.fromkeys(watermark_ids, 0)
            return {each: table.transaction_version(each) or 0 for each in watermark_ids}

    def newest_version(self) -> int | None:
        """Return the newest version of the table, or None if there is no table."""
        with self._translate_errors():
            try:
                return self._open(None).version()
            except TableNotFoundError:
                return None

    def version(self) -> int:
        """Return the newest version of the table.

        Raises:
            StoreError: The object store failed, or there is no table.
        """
        with self._translate_errors():
            return self._open(None).version()

    def list_data_files(self, version: int) -> list[str]:
        """Return the keys of the data files of a version, in the data bucket.

        Raises:
            StoreError: The object store failed, or there is no such version.
        """
        with self._translate_errors():
            paths = self._open(version).get_add_actions(flatten=True)["path"]
        return [f"{self._spec.prefix}/{path}" for path in paths.to_pylist()]

    def _commit(
        self,
        table: DeltaTable,
        part: Part,
        watermarks: tuple[Watermark, ...],
        always_commit: bool,
    ) -> MergeResult | None:
        """Commit a part as the version after that of `table`.

        Returns:
            The outcome; None if there is such a version already.

        Raises:
            CommitFailedError: Another writer has committed that version.
        """
        self._add_late_columns(table, part.rows)
        version = table.version()
        if part.is_committed(table, watermarks):
            return part.summarise(version)
        _check_not_overtaken(table, watermarks)
        known = part.find_known(table, self._filesystem)
        changed = 0
        if known.num_rows:
            part.attempted_version = version
            commit = _make_commit() if part.new_rows else _make_commit(watermarks, part.id)
            inserted, updated = upsert(table, known, self._spec, commit)
            part.add_merged(inserted, updated)
            changed = inserted + updated
        # Without new rows, the merge has committed the watermarks if it has changed a row.
        if not part.new_rows and (changed or not (always_commit or part.changed)):
            return part.summarise(table.version())
        if part.new_rows:
            part.write_new(table, self._filesystem)
        # The less time between this look and the commit, the fewer writers come in between.
        table.update_incremental()
        if table.version() != version:
            return None
        part.attempted_version = version
        table.create_write_transaction(
            part.files if part.new_rows else [],
            mode="append",
            schema=table.schema(),
            partition_by=[self._spec.partition_column],
            commit_properties=_make_commit(watermarks, part.id),
        )
        table.update_incremental()
        return part.summarise(table.version())

    def _add_late_columns(self, table: DeltaTable, rows: pa.Table) -> None:
        """Add the columns that the table lacks, if the rows have values for them."""
        stored = {field.name for field in table.schema().fields}
        lacking = [field for field in self._spec.schema if field.name not in stored]
        if any(rows[field.name].null_count < rows.num_rows for field in lacking):
            table.alter.add_columns(Schema.from_arrow(pa.schema(lacking)).fields)
            table.update_incremental()

    @cached_property
    def _filesystem(self) -> fs.FileSystem:
        return fs.PyFileSystem(DeltaStorageHandler(self.uri, self._options))

    def _refresh(self) -> DeltaTable:
        """Return the table at its newest version; create it if it does not exist."""
        if self._table is None:
            self._table = self._create()
        else:
            self._table.update_incremental()
        return self._table

    def _create(self) -> DeltaTable:
        spec = self._spec
        try:
            table = DeltaTable.create(
                self.uri,
                pa.schema([each for each in spec.schema if each.name not in spec.late_columns]),
                mode="ignore",
                partition_by=[spec.partition_column],
                configuration=_PROPERTIES,
                raise_if_key_not_exists=False,  # of properties that are not of Delta Lake
                storage_options=self._options,
            )
        except CommitFailedError:  # another writer has created it
            return self._open(None)
        check_table(table)
        return table

    def _open(self, version: int | None) -> DeltaTable:
        table = DeltaTable(self.uri, version=version, storage_options=self._options)
        check_table(table)
        return table

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except TableNotFoundError as error:
            raise StoreError(
                f"the {self._spec.description} table {self.uri} does not exist, or not at that "
                f"version: {self._spec.missing_hint}"
            ) from error
        except (DeltaError, OSError, pa.ArrowException) as error:
            raise explain(str(error), self.uri, self._endpoint) from error


def _check_not_overtaken(table: DeltaTable, watermarks: tuple[Watermark, ...]) -> None:
    for watermark in watermarks:
        if (table.transaction_version(watermark.id) or 0) > watermark.before:
            raise StoreError(
                f"another run has overtaken this one of {watermark.id.partition('#')[0]}: "
                "wait until it ends; committed rows are kept"
            )


def _make_commit(
    watermarks: tuple[Watermark, ...] = (), part_id: str | None = None
) -> CommitProperties:
    return CommitProperties(
        custom_metadata={PART_ID: part_id} if part_id else None,
        max_commit_retries=0,  # the keys are compared again before the next attempt
        app_transactions=[Transaction(each.id, each.after) for each in watermarks],
    )


def _back_off(attempt: int) -> None:
    longest = min(_FIRST_BACKOFF_SECONDS * 2**attempt, _MAX_BACKOFF_SECONDS)
    time.sleep(random.uniform(0, longest))  # noqa: S311 - no secret
