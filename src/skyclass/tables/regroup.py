"""Tables of another number of rows."""

from collections.abc import Iterable, Iterator

import pyarrow as pa


def regroup(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Yield the rows of consecutive tables in tables of `rows` rows; the last one may have fewer.

    Args:
        tables: Tables of one schema, of any number of rows.
        rows: Number of rows.
    """
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        while sum(each.num_rows for each in waiting) >= rows:
            joined = pa.concat_tables(waiting)
            yield joined.slice(0, rows)
            waiting = [joined.slice(rows)]
    if any(each.num_rows for each in waiting):
        yield pa.concat_tables(waiting)
