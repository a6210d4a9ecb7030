"""Files that are complete or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def replace_file(target: Path) -> Iterator[Path]:
    """Write a file beside its target, and rename it when it is complete.

    If the block fails or the process is killed, a file that was there before is unchanged.

    Args:
        target: The file; its folder exists.

    Yields:
        The path to write to.
    """
    target = target.resolve()  # a link stays a link
    part = target.with_name(f".{target.name}.{uuid4().hex[:8]}.part")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
