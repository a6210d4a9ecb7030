"""Tables of another number of rows."""

import pyarrow as pa
import pytest

from skyclass.tables.regroup import regroup


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([], []), ([0], []), ([3], [3]), ([2, 5, 1], [4, 4]), ([0, 9, 1], [4, 4, 2])],
)
def test_all_rows_are_regrouped_in_order(sizes: list[int], expected: list[int]) -> None:
    rows = pa.table({"row": range(sum(sizes))}, pa.schema([("row", pa.int64())]))
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    tables = [rows.slice(start, size) for start, size in zip(starts, sizes, strict=True)]
    found = list(regroup(tables, 4))
    assert [each.num_rows for each in found] == expected
    assert pa.concat_tables([rows.slice(0, 0), *found]) == rows
