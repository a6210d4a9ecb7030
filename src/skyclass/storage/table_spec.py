"""What a table with a unique key is, and the position in a source that is committed with rows."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pyarrow as pa


@dataclass(frozen=True)
class TableSpec:
    """Location, schema and key of a table.

    Attributes:
        prefix: Key prefix in the data bucket.
        schema: Arrow schema.
        partition_column: Partition column; the rows of a key are always in one partition. Its
            values are letters and digits: they are parts of keys without being encoded.
        key: Columns that identify a row; they hold integers.
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


@dataclass(frozen=True)
class Watermark:
    """The step in a source that is committed with the rows that it has passed.

    Attributes:
        id: Identifier of the source (a Delta application id).
        before: Position in the source before the rows.
        after: Position in the source after the rows.
    """

    id: str
    before: int
    after: int


def join_watermarks(steps: Iterable[Watermark]) -> list[Watermark]:
    """Join consecutive steps of each source into one."""
    joined: dict[str, Watermark] = {}
    for step in steps:
        joined[step.id] = replace(joined.get(step.id, step), after=step.after)
    return list(joined.values())
