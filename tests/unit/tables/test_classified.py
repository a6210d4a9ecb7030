"""Users' own files come back unchanged in every format, and a killed writer leaves the old file."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.units import Unit
from hypothesis import given
from hypothesis import strategies as st

from skyclass.errors import CatalogError
from skyclass.polling import poll
from skyclass.tables.catalogue.texts import parse_texts
from skyclass.tables.classified import append_predictions, check_output, write_classified
from skyclass.tables.files import read_numbers
from skyclass.tables.files.text import TextTable
from skyclass.tables.objects import Objects, read_objects

FILES = [
    "astroquery_sdss_xid_im.txt",
    "atlas_wise_bintable.fits",
    "casjobs_mydb.csv",
    "gaia_query.ecsv",
    "irsa_dust_sdss_ext.tbl",
    "irsa_votable.xml",
    "legacysurvey_tractor.fits",
    "sdss_calibobj_5rows.fits",
    "skyserver_table1.csv",
    "ssa_sdss_votable.xml",
    "tap_result.vot",
    "topcat_stil_table.fits",
    "vizier_table.fits",
    "vizier_votable.xml",
]
ADDED = ["sky_predicted", "sky_p_STAR", "sky_model_version"]


def write(objects: Objects, target: Path) -> None:
    """Write objects with predictions that are made up."""
    rows = objects.rows.num_rows
    predictions = pd.DataFrame(
        {"predicted": ["STAR"] * rows, "p_STAR": 0.5, "model_version": "a" * 64}
    )
    check_output(objects, target, ADDED)
    write_classified(objects, append_predictions(objects, predictions, "sky_"), target)


def assert_equal(objects: Objects, found: Objects) -> None:
    """Compare columns; NaN and a missing number are the same, and an empty and a missing text."""
    names = objects.rows.column_names
    assert found.rows.column_names == [*names, *ADDED]
    for place, name in enumerate(names):
        column, read = objects.rows.column(place), found.rows.column(place)
        if isinstance(objects.file, TextTable) and not pa.types.is_string(read.type):
            numbers = read_numbers(objects.file, place, column)
            np.testing.assert_array_equal(read_numbers(found.file, place, read), numbers, name)
        else:
            assert [plain(value) for value in read.to_pylist()] == [
                plain(value) for value in column.to_pylist()
            ], name
        facts, kept = (
            dict(each.rows.schema.field(place).metadata or {}) for each in (objects, found)
        )
        assert kept.get(b"ucd") == facts.get(b"ucd")
        texts = [each.get(b"description", b"").split() for each in (kept, facts)]
        assert texts[0] == texts[1]  # headers of FITS have no line breaks
        units = (each.get(b"unit", b"").decode() for each in (kept, facts))
        kept_unit, unit = (Unit(each, parse_strict="silent") for each in units)
        assert kept_unit == unit, name


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(each) for each in value]
    return None if value == "" or value != value else value


@pytest.mark.parametrize("name", FILES)
def test_files_of_astronomers_come_back(real_data: Path, tmp_path: Path, name: str) -> None:
    objects = read_objects(real_data / "formats" / name, ())
    for suffix in (".fits", ".vot", ".ecsv"):
        target = tmp_path / f"a{suffix}"
        write(objects, target)
        assert_equal(objects, read_objects(target, ()))


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".fits")])
def test_astropy_reads_the_same_from_a_fits_file_that_comes_back(
    real_data: Path, tmp_path: Path, name: str
) -> None:
    origin, target = real_data / "formats" / name, tmp_path / "a.fits"
    write(read_objects(origin, ()), target)
    before, after = Table.read(origin, hdu=1), Table.read(target)
    for column in before.colnames:
        np.testing.assert_array_equal(before[column], after[column])
        assert before[column].unit == after[column].unit
        assert before[column].shape == after[column].shape
    header, kept = fits.getheader(origin, 1), fits.getheader(target, 1)
    assert kept.get("EXTNAME") == (header.get("EXTNAME") or None)


@pytest.mark.slow
def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.fits"
    target.write_text("old")
    (tmp_path / "write.py").write_text(
        "import sys, time\nfrom pathlib import Path\n"
        "from skyclass.tables.catalogue.atomic import replace_file\n"
        "with replace_file(Path(sys.argv[1])) as path, path.open('w') as file:\n"
        "    file.write('half')\n    file.flush()\n    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, str(tmp_path / "write.py"), str(target)])
    try:
        assert poll(lambda: any(tmp_path.glob(".*.part")), 30, 0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert target.read_text() == "old"


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "-2", ""], [1, -2, None]),
        (["1", "2.50", "NaN", "-.5e1"], [1.0, 2.5, None, -5.0]),
        (["18446744073709551615"], [2**64 - 1]),
        (["000756"], ["000756"]),
        (["1.5", "12345678901234567"], ["1.5", "12345678901234567"]),  # a float would round it
        (["99999999999999999999"], ["99999999999999999999"]),
        (["", ""], ["", ""]),
        (["1", "."], ["1", "."]),
        (["2000-01-01"], ["2000-01-01"]),
        (["1_000"], ["1_000"]),
    ],
)
def test_texts_become_numbers_if_nothing_is_lost(texts: list[str], values: list[Any]) -> None:
    assert parse_texts(pa.chunked_array([texts])).to_pylist() == values


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_all_integers_are_exact(values: list[int]) -> None:
    assert parse_texts(pa.chunked_array([list(map(str, values))])).to_pylist() == values


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_all_numbers_are_exact(values: list[float]) -> None:
    column = pa.chunked_array([[*map(repr, values), "0.5"]])
    assert parse_texts(column).to_pylist() == [*values, 0.5]


def test_a_folder_as_output_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("u\n1\n")
    (tmp_path / "a.fits").mkdir()
    with pytest.raises(CatalogError, match=r"a\.fits: cannot be written"):
        write(read_objects(tmp_path / "a.csv", ()), tmp_path / "a.fits")
