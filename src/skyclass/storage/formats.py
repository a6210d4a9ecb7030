"""Formats of what is stored, and the check that this version of skyclass reads them.

A format is named by the version of skyclass that introduced it, so that its name is the answer to
the question which version is needed. Documents have it as the field `format`, Parquet files and
Delta tables as the metadata `skyclass.format`. What has none was written by version 0.1.0.
"""

import re
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from skyclass.errors import NewerFormatError

FIRST_VERSION = "0.1.0"
FIELD = "format"
PROPERTY = "skyclass.format"


@dataclass(frozen=True)
class Format:
    """A format that this version writes, and reads with all earlier ones.

    Attributes:
        content: What is stored, for messages.
        version: Version of skyclass that introduced the format. A change that earlier versions do
            not read needs the version that is being developed.
    """

    content: str
    version: str

    def check(self, found: str, where: str) -> None:
        """Check that this version reads a format.

        Args:
            found: The format of something that is stored.
            where: Names what is stored in the message.

        Raises:
            NewerFormatError: A newer version of skyclass has introduced the format.
        """
        if _parse(found) > _parse(self.version):
            raise NewerFormatError(
                f"{where}: this {self.content} was written by a newer version of skyclass: its "
                f"format is {found}, and this version reads {self.version}; upgrade to at least "
                f"{found}"
            )

    def check_parquet(self, metadata: pq.FileMetaData, where: str) -> None:
        """Check the format of a Parquet file, as `check` does."""
        found = (metadata.metadata or {}).get(PROPERTY.encode(), FIRST_VERSION.encode())
        self.check(found.decode(), where)

    def write_parquet(self, rows: pa.Table, target: Any, **encoding: Any) -> None:
        """Write a Parquet file in this format.

        Args:
            rows: The rows.
            target: Path, or binary file.
            encoding: Options of `pyarrow.parquet.ParquetWriter`.
        """
        with self.open_parquet(target, rows.schema, **encoding) as writer:
            writer.write_table(rows)

    def open_parquet(self, target: Any, schema: pa.Schema, **encoding: Any) -> pq.ParquetWriter:
        """Open a Parquet file in this format for writing; the caller closes it."""
        writer = pq.ParquetWriter(target, schema, **encoding)
        # Metadata of the schema would be lost without the schema itself, as in the prediction log.
        writer.add_key_value_metadata({PROPERTY: self.version})
        return writer


def _parse(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
