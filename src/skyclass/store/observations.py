"""The observations table: one Delta Lake table on S3, written by key, read at a version."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import DeltaError, TableNotFoundError

from skyclass.catalog.observation import KEY, MEASUREMENTS, POSITION, SCHEMA
from skyclass.errors import StoreError
from skyclass.settings import Settings
from skyclass.store.s3 import explain, no_answer

PREFIX = "observations"
_PARTITION = "era"
_VALUES = (*POSITION, *MEASUREMENTS, "class")
_KEEP_EVERY_VERSION = {"delta.enableExpiredLogCleanup": "false"}
"""Else delta-rs forgets the versions of more than 30 days ago, and training sets with them."""
_ORIGIN = ("source", "release", "batch_id", "ingested_at")


@dataclass(frozen=True)
class Merged:
    """What a merge did to the table.

    Attributes:
        inserted: Rows whose key was new.
        updated: Rows whose key was there with other values.
        version: The table's version afterwards.
    """

    inserted: int
    updated: int
    version: int


class ObservationsTable:
    """The table of all observations, keyed by (plate, mjd, fiber_id), partitioned by era."""

    def __init__(self, settings: Settings) -> None:
        """Name the table; nothing is contacted yet."""
        self.uri = f"s3://{settings.data_bucket}/{PREFIX}"
        self._endpoint = settings.endpoint_url
        self._options = delta_options(settings)

    def merge(self, rows: pa.Table, watermark_id: str, since: int, watermark: int) -> Merged:
        """Insert rows with new keys and correct those with other values, in one transaction.

        The source's watermark is committed with the rows, so a kill loses and doubles nothing.
        A null never overwrites a value: a row that comes again without its label keeps the label.
        Rows that are there already make no new version.

        Args:
            rows: Schema `SCHEMA`; each key at most once.
            watermark_id: Names the source (a Delta application id).
            since: How far the source had been read before these rows.
            watermark: How far the source has been read with these rows.

        Raises:
            StoreError: The object store failed, or another ingest of the source has got further,
                and these rows might undo its corrections.
        """
        news = " OR ".join(
            f"(s.`{name}` IS NOT NULL AND s.`{name}` IS DISTINCT FROM t.`{name}`)"
            for name in _VALUES
        )
        values = {f"t.`{name}`": f"COALESCE(s.`{name}`, t.`{name}`)" for name in _VALUES}
        origin = {f"t.`{name}`": f"s.`{name}`" for name in _ORIGIN}
        same = " AND ".join(f"t.`{name}` = s.`{name}`" for name in (_PARTITION, *KEY))
        with self._reported():
            table = DeltaTable.create(
                self.uri,
                SCHEMA,
                mode="ignore",
                partition_by=[_PARTITION],
                configuration=_KEEP_EVERY_VERSION,
                storage_options=self._options,
            )
            if (table.transaction_version(watermark_id) or 0) > since:
                raise StoreError(
                    f"another ingest has overtaken this one of {watermark_id.partition('#')[0]}: "
                    "nothing was lost, wait for it to end"
                )
            did = (
                table.merge(
                    rows,
                    predicate=same,
                    source_alias="s",
                    target_alias="t",
                    commit_properties=CommitProperties(
                        app_transactions=[Transaction(watermark_id, watermark)]
                    ),
                )
                .when_matched_update(updates={**values, **origin}, predicate=news)
                .when_not_matched_insert_all()
                .execute()
            )
            table.update_incremental()
        return Merged(
            inserted=did["num_target_rows_inserted"],
            updated=did["num_target_rows_updated"],
            version=table.version(),
        )

    def watermark(self, watermark_id: str) -> int:
        """How far a source has been read: 0 when it, or the table, is new."""
        with self._reported():
            try:
                return self._open(None).transaction_version(watermark_id) or 0
            except TableNotFoundError:
                return 0

    def version(self) -> int:
        """The newest version of the table."""
        with self._reported():
            return self._open(None).version()

    def identity(self) -> str:
        """What sets the table apart from another one that was made at its place, or elsewhere."""
        with self._reported():
            return str(self._open(None).metadata().id)

    def read(self, version: int, columns: list[str]) -> pd.DataFrame:
        """Read the table as it was at a version, in the order of the key.

        Args:
            version: A version of the table; the same one always gives the same rows.
            columns: The columns wanted.
        """
        with self._reported():
            wanted = list(dict.fromkeys([*columns, *KEY]))
            table = self._open(version).to_pyarrow_table(columns=wanted)
        order = [(name, "ascending") for name in ("mjd", "plate", "fiber_id")]
        return table.sort_by(order).select(columns).to_pandas()

    def _open(self, version: int | None) -> DeltaTable:
        return DeltaTable(self.uri, version=version, storage_options=self._options)

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except TableNotFoundError as error:
            raise StoreError(
                f"the observations table {self.uri} does not exist, or not at that version: "
                "ingest something first (`skyclass ingest URI`)"
            ) from error
        except (DeltaError, OSError) as error:
            raise self._explain(str(error)) from error

    def _explain(self, report: str) -> StoreError:
        code = re.search(r"<Code>(\w+)</Code>", report)
        if code:
            return explain(code[1], self.uri)
        if "specified end version" in report:
            return StoreError(f"{self.uri} has no such version yet: ask for an earlier one")
        if "error sending request" in report or "HTTP error" in report:
            return no_answer(self._endpoint, "no connection")
        gist = " ".join(report.replace("\x1b[31m↳\x1b[0m", "").split())[:200]
        return StoreError(f"{self.uri} failed ({gist}): nothing was lost, do the same again")


def delta_options(settings: Settings) -> dict[str, str]:
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
