"""Delta Lake tables on S3 with a unique key, for any number of concurrent writers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    Schema,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from skyclass.errors import StoreError
from skyclass.settings import Settings
from skyclass.storage.delta_errors import explain
from skyclass.storage.delta_options import make_storage_options
from skyclass.storage.key_index import KeyIndex

MAX_ATTEMPTS = 20
"""Attempts to commit a change while other writers commit theirs."""

_KEEP_EVERY_VERSION = {"delta.enableExpiredLogCleanup": "false"}
"""By default, delta-rs drops versions after 30 days, and training sets refer to versions."""


@dataclass(frozen=True)
class MergeResult:
    """The outcome of a merge.

    Attributes:
        inserted: Rows with a new key.
        updated: Rows with a known key and other values.
        version: Version of the table after the merge.
    """

    inserted: int
    updated: int
    version: int


@dataclass(frozen=True)
class TableSpec:
    """Location, schema and key of a table.

    Attributes:
        prefix: Key prefix in the data bucket.
        schema: Arrow schema.
        partition_column: Partition column; the rows of a key are always in one partition.
        key: Columns that identify a row.
        values: Columns that a merge may change.
        provenance: Columns that are replaced whenever a value changes.
        description: Content of the table, for messages.
        missing_hint: What to do if the table does not exist, for messages.
        late_columns: Columns that a table gets with the first rows that have values for them.
            Until then they cost nothing, and older versions can write to the table.
    """

    prefix: str
    schema: pa.Schema
    partition_column: str
    key: tuple[str, ...]
    values: tuple[str, ...]
    provenance: tuple[str, ...]
    description: str
    missing_hint: str
    late_columns: tuple[str, ...] = ()


class KeyedTable:
    """A table with a unique key that is changed in transactions and read at a version."""

    def __init__(self, settings: Settings, spec: TableSpec) -> None:
        self.uri = f"s3://{settings.data_bucket}/{spec.prefix}"
        self._spec = spec
        self._endpoint = settings.endpoint_url
        self._options = make_storage_options(settings)
        self._key_index = KeyIndex(spec.key)
        self._table: DeltaTable | None = None

    def merge(
        self,
        rows: pa.Table,
        watermark_id: str,
        previous_watermark: int,
        watermark: int,
        *,
        always_commit: bool = False,
    ) -> MergeResult:
        """Insert rows with new keys and update those with other values, in one transaction.

        The source's watermark is committed with the rows, so that a retry neither loses nor
        duplicates a row. A null never overwrites a value. Rows without a change do not make a new
        version. Late columns are added before the first rows that have values for them, in a
        version of their own.

        Concurrency is optimistic: a change is committed as the version after the one that was
        read, and is retried if another writer has committed that version.

        Args:
            rows: Columns of the schema; keys are unique.
            watermark_id: Identifier of the source (a Delta application id).
            previous_watermark: Position in the source before these rows.
            watermark: Position in the source after these rows.
            always_commit: Whether to commit the watermark even if no row changes the table.

        Raises:
            StoreError: The object store failed, or another writer has committed later rows of the
                same source, whose corrections these rows might undo.
        """
        commit = CommitProperties(
            max_commit_retries=0, app_transactions=[Transaction(watermark_id, watermark)]
        )
        for _ in range(MAX_ATTEMPTS):
            with self._translate_errors():
                table = self._refresh()
                if (table.transaction_version(watermark_id) or 0) > previous_watermark:
                    raise StoreError(
                        f"another run has overtaken this one of {watermark_id.partition('#')[0]}: "
                        "wait until it ends; committed rows are kept"
                    )
                read_version = table.version()
                try:
                    fitted = self._fit_schema(table, rows)
                    read_version = table.version()
                    result = MergeResult(inserted=0, updated=0, version=read_version)
                    if rows.num_rows and self._key_index.are_new(rows, table):
                        return self._append(table, fitted, commit)
                    if rows.num_rows:
                        result = self._upsert(table, fitted, commit)
                    if always_commit and result.version == read_version:
                        result = self._append(table, fitted.slice(0, 0), commit)
                    return result
                except CommitFailedError:
                    if self._open(None).version() == read_version:
                        raise
        raise StoreError(
            f"{self.uri}: {MAX_ATTEMPTS} commits conflicted with other writers: try again later"
        )

    def watermark(self, watermark_id: str) -> int:
        """Return the committed position in a source; 0 if the source or the table is new."""
        with self._translate_errors():
            try:
                return self._open(None).transaction_version(watermark_id) or 0
            except TableNotFoundError:
                return 0

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

    def _fit_schema(self, table: DeltaTable, rows: pa.Table) -> pa.Table:
        """Return rows with the columns of the table, and add late columns if they have values."""
        stored = {field.name for field in table.schema().fields}
        lacking = [field for field in self._spec.schema if field.name not in stored]
        if all(rows[field.name].null_count == rows.num_rows for field in lacking):
            return rows.drop_columns([field.name for field in lacking])
        table.alter.add_columns(Schema.from_arrow(pa.schema(lacking)).fields)
        table.update_incremental()
        return rows

    def _append(self, table: DeltaTable, rows: pa.Table, commit: CommitProperties) -> MergeResult:
        read_version, files = table.version(), _list_files(table)
        # Measurements rarely repeat, and building dictionaries takes half of the time of a write.
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
        if rows.num_rows and table.version() == read_version + 1:  # all new files are ours
            self._key_index.add(rows, _list_files(table) - files)
        return MergeResult(inserted=rows.num_rows, updated=0, version=table.version())

    def _upsert(self, table: DeltaTable, rows: pa.Table, commit: CommitProperties) -> MergeResult:
        spec = self._spec
        # A column without values changes nothing, and each column costs time in the join.
        given = [
            name
            for name in spec.values
            if name in rows.column_names and rows[name].null_count < rows.num_rows
        ]
        is_changed = " OR ".join(
            f"(s.`{name}` IS NOT NULL AND s.`{name}` IS DISTINCT FROM t.`{name}`)" for name in given
        )
        is_changed = is_changed or "FALSE"
        values = {f"t.`{name}`": f"COALESCE(s.`{name}`, t.`{name}`)" for name in given}
        provenance = {f"t.`{name}`": f"s.`{name}`" for name in spec.provenance}
        same = " AND ".join(
            f"t.`{name}` = s.`{name}`" for name in (spec.partition_column, *spec.key)
        )
        metrics = (
            table.merge(
                rows,
                predicate=same,
                source_alias="s",
                target_alias="t",
                streamed_exec=False,  # the bounds of the rows then prune files
                commit_properties=commit,
            )
            .when_matched_update(updates={**values, **provenance}, predicate=is_changed)
            .when_not_matched_insert_all()
            .execute()
        )
        table.update_incremental()
        return MergeResult(
            inserted=metrics["num_target_rows_inserted"],
            updated=metrics["num_target_rows_updated"],
            version=table.version(),
        )

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
            return DeltaTable.create(
                self.uri,
                pa.schema([each for each in spec.schema if each.name not in spec.late_columns]),
                mode="ignore",
                partition_by=[spec.partition_column],
                configuration=_KEEP_EVERY_VERSION,
                storage_options=self._options,
            )
        except CommitFailedError:  # another writer has created it
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
            raise explain(str(error), self.uri, self._endpoint) from error


def _list_files(table: DeltaTable) -> set[str]:
    return set(pa.table(table.get_add_actions())["path"].to_pylist())
