"""A wrong clock, by libfaketime: it applies to a process, and to all of its libraries."""

from datetime import timedelta
from pathlib import Path

_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


def shift_clock(offset: timedelta, file: Path | None = None) -> dict[str, str]:
    """Return the environment of a process whose clock is wrong.

    Args:
        offset: How far its clock is ahead; negative if it is behind.
        file: New file with the offset, to which `correct_clock` applies; None if it stays.
    """
    assert _LIBRARIES, "libfaketime is missing: run `make clock`"
    preload = {"LD_PRELOAD": str(_LIBRARIES[0]), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    shift = f"{offset.total_seconds():+.0f}"
    if file is None:
        return {**preload, "FAKETIME": shift}
    file.write_text(shift)
    return {**preload, "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"}


def correct_clock(file: Path) -> None:
    """Set the clock of a process right, while it runs."""
    file.write_text("+0")
