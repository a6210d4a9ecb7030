"""Gather consecutive batches of rows into parts, which are committed at once."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from skyclass.errors import SkyclassError

PART_ROWS = 1_000_000
"""Rows of a part. It bounds the memory of a job; fewer rows are more commits."""

PART_SECONDS = 60.0
"""Time after which a part is committed even if it is smaller. It bounds the work a kill loses."""

T = TypeVar("T")


def gather(
    batches: Iterable[T], count_rows: Callable[[T], int], progress: Callable[[int], None]
) -> Iterator[list[T]]:
    """Gather batches into parts of at least `PART_ROWS` rows or `PART_SECONDS`.

    If the next batch cannot be read, the batches before it are a part of their own.

    Args:
        batches: Consecutive batches.
        count_rows: Returns the number of rows of a batch.
        progress: Called with the number of rows of all batches so far, after each batch.
    """
    part: list[T] = []
    rows = rows_before = 0
    started = time.monotonic()
    try:
        for batch in batches:
            rows += count_rows(batch)
            progress(rows)
            part.append(batch)
            is_full = rows - rows_before >= PART_ROWS
            if is_full or time.monotonic() - started >= PART_SECONDS:
                yield part
                part, rows_before, started = [], rows, time.monotonic()
    except SkyclassError:
        if part:
            yield part
        raise
    if part:
        yield part
