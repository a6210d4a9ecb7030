"""The number of rows that wait for the prediction log, in a file that outlives the process."""

import mmap
import os
from pathlib import Path

from skyclass.errors import ServingError

_BYTES = 8  # one unsigned 64-bit integer


class WaitingRows:
    """A number in a file that is mapped into memory.

    A process that is killed leaves the number of its last update, whatever the signal. An update is
    a store to memory, so it may be made for each request. The file belongs to one process at a
    time.

    Attributes:
        left: The number that the previous process has left; 0 if there was none.
    """

    def __init__(self, path: Path | None) -> None:
        """Open the file and reset the number.

        Args:
            path: The file, which is created if it is missing; None keeps the number in memory only.

        Raises:
            ServingError: The file cannot be opened.
        """
        self._number = memoryview(_map(path)).cast("Q")
        self.left = self._number[0]
        self.set(0)

    def get(self) -> int:
        """Return the number."""
        return self._number[0]

    def set(self, rows: int) -> None:
        """Set the number."""
        self._number[0] = rows


def _map(path: Path | None) -> mmap.mmap:
    if path is None:
        return mmap.mmap(-1, _BYTES)
    try:
        with path.open("a+b") as file:
            # On a full disk, an update of a block that is not allocated would end the process.
            os.posix_fallocate(file.fileno(), 0, _BYTES)
            return mmap.mmap(file.fileno(), _BYTES)
    except OSError as error:
        raise ServingError(
            f"cannot open {path} ({error.strerror}): correct SKYCLASS_SERVING_LOG_WAITING_FILE"
        ) from error
