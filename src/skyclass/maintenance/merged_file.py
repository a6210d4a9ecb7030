"""Files with all rows of an hour that are of one release, in the order of time."""

import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from skyclass.maintenance.spool import TIME, Group
from skyclass.survey.features import Mode
from skyclass.tables.log.layout import MergedFile
from skyclass.tables.log.schema import LOG_FORMAT, LOG_SCHEMA
from skyclass.tables.regroup import regroup

MERGED_FOLDER = "merged/"
"""Folder of merged files below the prefix of an hour. Readers take its files from the index only:
one that was written by a run that was killed before its index does not exist for them."""

ROW_GROUP_ROWS = 100_000

_ENCODING: dict[str, Any] = {
    "compression": "zstd",
    "write_statistics": [TIME],  # a reader of a part of the hour skips row groups
    "use_dictionary": [field.name for field in LOG_SCHEMA if field.type == pa.string()],
    "use_byte_stream_split": [field.name for field in LOG_SCHEMA if field.type == pa.float64()],
}


def write_merged_file(tables: Iterable[pa.Table], group: Group, path: Path) -> MergedFile:
    """Write rows of a release to a local file.

    Args:
        tables: The rows, in the order of time.
        group: The release.
        path: The file.

    Returns:
        The entry of the index. Its name is new: a run that deletes what a killed run has left must
        not delete what another run writes again.
    """
    rows = 0
    with LOG_FORMAT.open_parquet(path, LOG_SCHEMA, **_ENCODING) as writer:
        for part in regroup(tables, ROW_GROUP_ROWS):
            writer.write_table(part, row_group_size=ROW_GROUP_ROWS)
            rows += part.num_rows
    name = f"{MERGED_FOLDER}{uuid.uuid4().hex}.parquet"
    mode, release = Mode(group.mode), group.model_version
    return MergedFile(name=name, mode=mode, model_version=release, rows=rows)


def get_group(file: MergedFile) -> Group:
    """Return the release of a merged file."""
    return Group(str(file.mode), file.model_version)
