"""Merge known rows into a Delta table by a join."""

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable

from skyclass.storage.table_spec import TableSpec


def upsert(
    table: DeltaTable, rows: pa.Table, spec: TableSpec, commit: CommitProperties
) -> tuple[int, int]:
    """Update rows with other values, and insert those whose key is new; null changes nothing.

    Without a change there is no new version.

    Returns:
        Number of inserted rows and of updated rows.

    Raises:
        CommitFailedError: Another writer has committed the next version.
    """
    # A column without values changes nothing, and each column costs time in the join.
    given = [
        name
        for name in spec.values
        if name in rows.column_names and rows[name].null_count < rows.num_rows
    ]
    is_changed = " OR ".join(
        f"(s.`{name}` IS NOT NULL AND s.`{name}` IS DISTINCT FROM t.`{name}`)" for name in given
    )
    values = {f"t.`{name}`": f"COALESCE(s.`{name}`, t.`{name}`)" for name in given}
    provenance = {f"t.`{name}`": f"s.`{name}`" for name in spec.provenance}
    is_same = " AND ".join(
        f"t.`{name}` = s.`{name}`" for name in (spec.partition_column, *spec.key)
    )
    metrics = (
        table.merge(
            rows,
            predicate=is_same,
            source_alias="s",
            target_alias="t",
            streamed_exec=False,  # the bounds of the rows then prune files
            commit_properties=commit,
        )
        .when_matched_update(updates={**values, **provenance}, predicate=is_changed or "FALSE")
        .when_not_matched_insert_all()
        .execute()
    )
    table.update_incremental()
    return metrics["num_target_rows_inserted"], metrics["num_target_rows_updated"]
