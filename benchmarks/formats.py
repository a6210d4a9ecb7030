"""FITS tables beside `astropy.table.Table.read` of the same file: `python -m benchmarks.formats`.

Prints rows per second, peak memory and the ratios, measured alternately. skyclass reads the columns
of the model from the stream; astropy maps the file and converts the same columns.
"""

import argparse
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from astropy.io import fits
from astropy.table import Table

from benchmarks.data import print_row
from benchmarks.measurement import Cost, measure
from skyclass.survey.features import INPUTS, OPTIONAL_INPUTS, Mode
from skyclass.tables.files import find_columns, open_table

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


def main() -> None:
    """Measure both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    print_row("rows", "astropy rows/s", "rows/s", "ratio", "astropy MB", "MB")
    with TemporaryDirectory() as folder:
        for rows in given.rows:
            path = Path(folder) / f"{rows}.fits"
            write_fits(path, rows)
            pairs: list[tuple[Cost, Cost]] = [
                (measure(read_with_astropy, path, rows), measure(read_with_skyclass, path, rows))
                for _ in range(given.repeat)
            ]
            before, after = (
                min(each, key=lambda cost: cost.seconds) for each in zip(*pairs, strict=True)
            )
            print_row(
                f"{rows:,}",
                f"{rows / before.seconds:,.0f}",
                f"{rows / after.seconds:,.0f}",
                f"{statistics.median(a.seconds / b.seconds for a, b in pairs):.2f}",
                f"{before.megabytes:,.0f}",
                f"{after.megabytes:,.0f}",
            )
            path.unlink()


if __name__ == "__main__":
    main()
