"""FITS tables beside `astropy.table.Table.read` of the same file: `python -m benchmarks.formats`.

skyclass reads the columns of the model from the stream; astropy maps the file and converts the same
columns.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from astropy.io import fits
from astropy.table import Table

from benchmarks.figures import Figure, print_figure
from benchmarks.measurement import measure
from skyclass.survey.features import INPUTS, OPTIONAL_INPUTS, Mode
from skyclass.tables.files import find_columns, open_table

TOPIC = "FITS tables"
PEER = "astropy Table.read"
SIZES = (1_000_000, 10_000_000)
CHUNK_ROWS = 200_000
_NAMES = ("u", "g", "r", "i", "z", "psf_u", "psf_g", "psf_r", "psf_i", "psf_z", "alpha", "delta")


def write_fits(path: Path, rows: int) -> None:
    """Write a table of an id, a name and 12 numbers, block by block: 120 bytes a row."""
    block = min(rows, 100_000)
    values = np.random.default_rng(0).normal(20, 1, (len(_NAMES), block))
    columns = [
        fits.Column(name, "D", array=each) for name, each in zip(_NAMES, values, strict=True)
    ]
    columns.append(fits.Column("objid", "K", array=np.arange(block)))
    columns.append(fits.Column("name", "16A", array=[f"J{number:08d}" for number in range(block)]))
    table = fits.BinTableHDU.from_columns(columns)
    data = table.data.tobytes()
    table.header["NAXIS2"] = rows
    with path.open("wb") as file:
        file.write(fits.PrimaryHDU().header.tostring().encode())
        file.write(table.header.tostring().encode())
        for start in range(0, rows, block):
            file.write(data[: (rows - start) * table.header["NAXIS1"]])
        file.write(bytes(-file.tell() % 2880))


def read_with_skyclass(path: Path, rows: int) -> None:
    """Read the inputs of the model chunk by chunk, as `skyclass score` does."""
    mode = Mode.PHOTOMETRIC
    file = open_table(str(path), path.name)
    found = find_columns(file, INPUTS[mode], ("source_id", *OPTIONAL_INPUTS[mode]))
    done = sum(chunk.rows for chunk in file.read(list(found.values()), CHUNK_ROWS))
    assert done == rows, done  # noqa: S101


def read_with_astropy(path: Path, rows: int) -> None:
    """Read the same columns as a whole, as contiguous arrays of this machine's byte order."""
    table = Table.read(path, memmap=True)
    arrays = [pa.array(np.asarray(table[name], "f8")) for name in _NAMES]
    assert len(arrays[0]) == rows  # noqa: S101


def compare(rows: int, repeat: int, folder: Path) -> Iterator[Figure]:
    """Read a file of so many rows with both, alternately."""
    path = folder / f"{rows}.fits"
    write_fits(path, rows)
    pairs = [
        (measure(read_with_astropy, path, rows), measure(read_with_skyclass, path, rows))
        for _ in range(repeat)
    ]
    path.unlink()
    own = min((own for _, own in pairs), key=lambda cost: cost.seconds)
    yield Figure(
        TOPIC, f"{rows:,} rows", rows / own.seconds, "rows/s", PEER,
        median(peer.seconds / own.seconds for peer, own in pairs), target=1,
    )  # fmt: skip
    yield Figure(
        TOPIC, f"{rows:,} rows, peak memory", own.megabytes, "MB", PEER,
        median(peer.megabytes / own.megabytes for peer, own in pairs), target=1,
    )  # fmt: skip


def measure_figures(sizes: Sequence[int] = SIZES, repeat: int = 3) -> Iterator[Figure]:
    """Compare files of these numbers of rows."""
    with TemporaryDirectory() as folder:
        for rows in sizes:
            yield from compare(rows, repeat, Path(folder))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    for figure in measure_figures(given.rows, given.repeat):
        print_figure(figure)


if __name__ == "__main__":
    main()
