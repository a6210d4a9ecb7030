"""Memory does not depend on the size of a FITS file."""

from pathlib import Path

import pytest

from benchmarks.formats import read_with_skyclass, write_fits
from benchmarks.measurement import measure

MAX_GROWTH_MEGABYTES = 100


@pytest.mark.slow
def test_two_million_rows_need_hardly_more_memory_than_a_chunk(tmp_path: Path) -> None:
    peaks = []
    for rows in (200_000, 2_000_000):
        path = tmp_path / "a.fits"
        write_fits(path, rows)
        peaks.append(measure(read_with_skyclass, path, rows).megabytes)
    assert peaks[1] - peaks[0] < MAX_GROWTH_MEGABYTES
