"""FITS tables: every value, type, unit and description as astropy reads it, chunk by chunk."""

import gzip
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from skyclass.errors import CatalogError
from skyclass.tables.files import find_columns, open_table
from skyclass.tables.files.fits import FitsTable
from tests.support.files import read_all

NAMES = ["u", "g", "r", "i", "z"]


def write_columns(path: Path, *columns: fits.Column, name: str = "") -> Path:
    fits.BinTableHDU.from_columns(columns, name=name).writeto(path, overwrite=True)
    return path


def to_plain(column: Any) -> list[Any]:
    """Return the values of an astropy column as Python values, text without its padding."""
    strip = np.vectorize(lambda value: value.rstrip(), otypes=[object])
    texts = column.astype(str) if column.dtype.kind == "S" else column
    return (strip(texts) if texts.dtype.kind == "U" else texts).tolist()


@pytest.fixture(params=["scalar", "unsigned", "vector"])
def columns(request: pytest.FixtureRequest) -> list[fits.Column]:
    match request.param:
        case "scalar":
            return [
                fits.Column("flag", "L", array=[True, False]),
                fits.Column("byte", "B", array=[0, 255]),
                fits.Column("id", "K", array=[2**63 - 1, -(2**63)]),
                fits.Column("mag", "E", array=[19.5, np.nan], unit="mag", disp="F7.4"),
                fits.Column("ra", "D", array=[180.125, 0.0], unit="deg"),
                fits.Column("name", "6A", array=["ab", "c d"]),
            ]
        case "unsigned":
            return [
                fits.Column("int8", "B", bzero=-128, array=np.array([-128, 127], "i1")),
                fits.Column("uint16", "I", bzero=2**15, array=np.array([0, 2**16 - 1], "u2")),
                fits.Column("uint32", "J", bzero=2**31, array=np.array([0, 2**32 - 1], "u4")),
                fits.Column("uint64", "K", bzero=2**63, array=np.array([0, 2**64 - 1], "u8")),
            ]
    return [
        fits.Column("mags", "5E", array=np.arange(10, dtype="f4").reshape(2, 5)),
        fits.Column("matrix", "6I", dim="(2,3)", array=np.arange(12).reshape(2, 3, 2)),
        fits.Column("bits", "11X", array=np.eye(2, 11, dtype=bool)),
        fits.Column("names", "6A", dim="(3,2)", array=np.array([["ab", "c"], ["", "def"]])),
    ]


def test_values_and_types_are_those_of_astropy(columns: list[fits.Column], tmp_path: Path) -> None:
    path = write_columns(tmp_path / "a.fits", *columns)
    file, expected = open_table(str(path), "a.fits"), Table.read(path, mask_invalid=False)
    assert file.header == tuple(expected.colnames)
    rows = read_all(file)
    for name in file.header:
        np.testing.assert_equal(rows[name].to_pylist(), to_plain(expected[name]))
        kind = rows.schema.field(name).type
        while pa.types.is_fixed_size_list(kind):
            kind = kind.value_type
        if not pa.types.is_string(kind) and name != "int8":  # astropy makes it a float
            assert np.dtype(kind.to_pandas_dtype()) == expected[name].dtype.newbyteorder("=")


def test_a_null_value_and_an_undefined_logical_are_null(tmp_path: Path) -> None:
    path = write_columns(
        tmp_path / "a.fits",
        fits.Column("type", "I", null=-1, array=[3, -1]),
        fits.Column("pair", "2J", null=0, array=[[0, 1], [2, 0]]),
        fits.Column("ok", "L", array=[True, True]),
    )
    data = bytearray(path.read_bytes())
    data[data.rindex(b"T")] = 0  # the last logical value
    path.write_bytes(data)
    rows = read_all(open_table(str(path), "a.fits"))
    assert rows["type"].to_pylist() == [3, None]
    assert rows["pair"].to_pylist() == [[None, 1], [2, None]]
    assert rows["ok"].to_pylist() == [True, None]


def test_scaled_values_are_true_values_and_null_is_compared_before(tmp_path: Path) -> None:
    path = write_columns(tmp_path / "a.fits", fits.Column("r", "I", array=[10, -1, 30], null=-1))
    with fits.open(path, mode="update") as file:
        file[1].header["TSCAL1"], file[1].header["TZERO1"] = 0.5, 15.0
    assert read_all(open_table(str(path), "a.fits"))["r"].to_pylist() == [20.0, None, 30.0]


def test_arrays_of_variable_length_are_lists(tmp_path: Path) -> None:
    arrays = np.empty(3, dtype=object)
    arrays[:] = [np.array([1.0, 2.0]), np.array([]), np.array([3.0])]
    names = np.array(["", "long name", "b"], dtype=object)
    path = write_columns(
        tmp_path / "a.fits",
        fits.Column("flux", "PD()", array=arrays),
        fits.Column("name", "QA()", array=names),
        fits.Column("sum", "D", array=[3.0, 0.0, 3.0]),
    )
    expected = [[1.0, 2.0], [], [3.0]]
    rows = read_all(open_table(str(path), "a.fits"), chunk_rows=2)
    assert rows["flux"].to_pylist() == expected
    assert rows["name"].to_pylist() == ["", "long name", "b"]


def test_a_text_table_has_numbers(tmp_path: Path) -> None:
    columns = [
        fits.Column("id", "I19", array=[2**62, 7], null="7"),
        fits.Column("r", "D14.6", array=[19.25, 1e-3]),
        fits.Column("name", "A4", array=["ab", "c"]),
    ]
    fits.TableHDU.from_columns(columns).writeto(tmp_path / "a.fits")
    rows = read_all(open_table(str(tmp_path / "a.fits"), "a.fits"))
    assert rows.to_pydict() == {"id": [2**62, None], "r": [19.25, 1e-3], "name": ["ab", "c"]}


def test_schema_has_units_ucds_and_descriptions(tmp_path: Path) -> None:
    column = fits.Column("z", "E", array=[18.0], unit="mag", disp="F7.4")
    path = write_columns(tmp_path / "a.fits", column, name="stars")
    with fits.open(path, mode="update") as file:
        header = file[1].header
        header["TUCD1"], header["TCOMM1"] = "phot.mag;em.opt.I", "Model magnitude"
        header["AUTHOR"] = "Baade"
    schema = open_table(str(path), "a.fits").schema
    assert schema.field("z").metadata == {
        b"unit": b"mag",
        b"ucd": b"phot.mag;em.opt.I",
        b"description": b"Model magnitude",
        b"display": b"F7.4",
        b"format": b"E",
    }
    assert schema.metadata[b"name"] == b"STARS"
    assert json.loads(schema.metadata[b"meta"]) == {"AUTHOR": "Baade"}


@pytest.mark.parametrize("hdu", ["2", "objects", "OBJECTS"])
def test_a_table_is_chosen_by_its_number_or_name(hdu: str, tmp_path: Path) -> None:
    image = fits.ImageHDU(np.ones((7, 5)), name="IMAGE")
    first = fits.BinTableHDU.from_columns([fits.Column("run", "J", array=[756])], name="RUNS")
    second = fits.BinTableHDU.from_columns([fits.Column("r", "E", array=[19.5])], name="OBJECTS")
    path = tmp_path / "a.fits"
    fits.HDUList([fits.PrimaryHDU(np.zeros(3)), first, second, image]).writeto(path)
    assert open_table(str(path), "a.fits").header == ("run",)
    assert open_table(str(path), "a.fits", hdu=hdu).header == ("r",)
    with pytest.raises(CatalogError, match=r"a\.fits: HDU 3 \(IMAGE\) is not a table: choose one"):
        read_all(open_table(str(path), "a.fits", hdu="3"))
    with pytest.raises(CatalogError, match=r"no HDU '9': choose a table \(1 \(RUNS\), 2 \(OBJECT"):
        read_all(open_table(str(path), "a.fits", hdu="9"))
    with pytest.raises(CatalogError, match=r"missing column u .*; tables: 1 \(RUNS\), 2 \(OBJECTS"):
        find_columns(open_table(str(path), "a.fits"), ["u"])


@pytest.mark.parametrize("chunk_rows", [1, 7, 100])
def test_chunks_have_the_requested_rows_and_wide_rows_are_read_in_blocks(
    chunk_rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skyclass.tables.files.fits._READ_BYTES", 24)
    path = write_columns(
        tmp_path / "a.fits",
        fits.Column("id", "J", array=np.arange(20)),
        fits.Column("wide", "8A", array=["x"] * 20),
    )
    chunks = list(open_table(str(path), "a.fits").read([0], chunk_rows))
    assert [value for chunk in chunks for value in chunk.columns[0].to_pylist()] == [*range(20)]
    assert all(chunk.rows >= chunk_rows for chunk in chunks[:-1])


def test_a_compressed_table_is_read_from_the_stream(tmp_path: Path) -> None:
    path = write_columns(tmp_path / "a.fits", fits.Column("r", "E", array=np.arange(3000)))
    (tmp_path / "a.fits.gz").write_bytes(gzip.compress(path.read_bytes()))
    file = open_table(str(tmp_path / "a.fits.gz"), "a.fits.gz")
    assert read_all(file)["r"].to_pylist() == [*range(3000)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"SIMPLE  =", b"SAMPLE  =", "not FITS"),
        (b"TFORM1  = 'E", b"TFORM1  = '9", "the header of HDU 1 is malformed"),
        (b"TFORM2  = 'E", b"TFORM2  = 'D", "the header of HDU 1 is malformed"),
        (b"TFORM3", b"TFORM9", "the header of HDU 1 is malformed"),
        (
            b"NAXIS2  =                    2",
            b"NAXIS2  =               999999",
            "the file is truncated",
        ),
        (b"NAXIS2  =                    2", b"NAXIS2  =                   -2", "malformed"),
        (b"NAXIS2  =                    2", b"NAXIS2  =                    0", "no rows"),
        (
            b"NAXIS1  =                   20",
            b"NAXIS1  =       99999999999999",
            "malformed",
        ),
        (b"XTENSION= 'BINTABLE'", b"XTENSION= 'IMAGE   '", "no table in the file"),
    ],
)
def test_a_damaged_table_is_one_error(old: bytes, new: bytes, message: str, tmp_path: Path) -> None:
    columns = [fits.Column(name, "E", array=[19.0, 20.0]) for name in NAMES]
    path = write_columns(tmp_path / "a.fits", *columns)
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(CatalogError, match=message) as error:
        read_all(open_table(str(path), "a.fits"))
    assert str(error.value).startswith("a.fits: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [100, 2880, 4000, 5760, 5770])
def test_a_truncated_file_is_one_error(size: int, tmp_path: Path) -> None:
    path = write_columns(tmp_path / "a.fits", fits.Column("r", "E", array=np.arange(9)))
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CatalogError, match=r"a\.fits: (.* truncated|no table in the file)"):
        read_all(open_table(str(path), "a.fits"))


def test_without_astropy_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "skyclass.tables.files.fits", None)
    (tmp_path / "a.fits").write_bytes(b"SIMPLE")
    with pytest.raises(CatalogError, match=r"install skyclass\[formats\]"):
        open_table(str(tmp_path / "a.fits"), "a.fits")


DTYPES = st.sampled_from(["u1", "i2", "i4", "i8", "u2", "u4", "f4", "f8", "?", "U5"])


@settings(max_examples=60)
@given(data=st.data())
def test_what_astropy_writes_comes_back(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 5))
    table = Table()
    for number, dtype in enumerate(data.draw(st.lists(DTYPES, min_size=1, max_size=5))):
        shape = (rows, *data.draw(st.sampled_from([(), (1,), (3,), (2, 2)])))
        seed = data.draw(st.binary(min_size=8, max_size=8))
        chance = np.random.default_rng(list(seed))
        if dtype == "U5":
            values = chance.choice(["", "a", "ab c", "abcde"], shape)
        else:
            size = np.dtype(dtype).itemsize * int(np.prod(shape))
            values = np.frombuffer(chance.bytes(size), "u1" if dtype == "?" else dtype)
            values = values.reshape(shape) > 127 if dtype == "?" else values.reshape(shape)
        table[f"c{number}"] = values
    buffer = BytesIO()
    with np.errstate(invalid="ignore"):
        table.write(buffer, format="fits")
    stored = buffer.getvalue()
    result = read_all(FitsTable("a.fits", lambda: pa.BufferReader(stored)))
    for name in table.colnames:
        np.testing.assert_equal(result[name].to_pylist(), table[name].tolist())
