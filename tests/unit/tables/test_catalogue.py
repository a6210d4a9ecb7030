"""Catalogues hold every value, type, unit and description of a table, as astropy reads them."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits, votable
from astropy.table import MaskedColumn, Table
from astropy.units import Unit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skyclass.errors import CatalogError
from skyclass.tables.catalogue.atomic import replace_file
from skyclass.tables.catalogue.layout import find_layout, to_arrays
from skyclass.tables.catalogue.rows import Rows, summarise
from skyclass.tables.catalogue.write import check_catalogue, write_catalogue
from skyclass.tables.files import open_table

FORMATS = (".fits", ".vot", ".ecsv")


def store(table: pa.Table, path: Path) -> None:
    rows = Rows.from_table(table)
    content = summarise(rows)
    check_catalogue(rows, content, path, "a.csv")
    write_catalogue(rows, content, path, path, "a.csv")


def write(table: pa.Table, path: Path) -> Table:
    """Write a table and return what astropy reads, without warnings."""
    store(table, path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*olumn .* contains NULL")  # astropy reads them as False
        return Table.read(path)


def assert_sums(path: Path) -> None:
    """Check CHECKSUM and DATASUM of a FITS file, and its form."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(path, checksum=True) as hdus:
            hdus.verify("exception")
            assert [hdu.verify_checksum() for hdu in hdus] == [1, 1]
            assert hdus[1].verify_datasum() == 1


def assert_equal(table: pa.Table, found: Table, suffix: str) -> None:
    """Compare values and what is missing; that of texts and, in FITS, of booleans is not kept."""
    assert len(found) == len(table)
    for place, field in enumerate(table.schema):
        layout = find_layout(field.type)
        assert layout
        column = table.column(place).combine_chunks()
        values, is_missing = to_arrays(column, layout)
        read = found.columns[place]
        if layout.is_variable:
            parts = [np.ma.MaskedArray(row, dtype=layout.dtype) for row in read]
            np.testing.assert_equal([len(part) for part in parts], layout.find_sizes(column))
            read = np.ma.concatenate([*parts, np.ma.array([], layout.dtype)])
        if layout.is_text:
            texts = MaskedColumn(read.astype(str)).filled("")
            assert texts.tolist() == values.tolist(), field
            continue
        mask = np.broadcast_to(np.ma.getmask(read), read.shape)
        if pa.types.is_floating(layout.element):
            mask, is_missing = mask | np.isnan(np.ma.getdata(read)), is_missing | np.isnan(values)
        if suffix == ".fits" and layout.element == pa.bool_():
            assert (np.asarray(read)[is_missing] == 0).all()
        else:
            np.testing.assert_array_equal(mask, is_missing, field.name)
        assert read.dtype.kind == values.dtype.kind or read.dtype.kind == "i"
        np.testing.assert_array_equal(np.ma.getdata(read)[~is_missing], values[~is_missing])


def numbers(dtype: Any) -> st.SearchStrategy[Any]:
    limits = np.iinfo(dtype)
    return st.sampled_from([int(limits.min), 0, int(limits.max) - 1]) | st.integers(
        int(limits.min), int(limits.max)
    )


ELEMENTS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.bool_(): st.booleans(),
    **{
        getattr(pa, name)(): numbers(name)
        for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64")
    },
    pa.uint64(): st.integers(0, 2**63 - 1),  # VOTable has no larger integers
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
    pa.string(): st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=5),
}


@st.composite
def columns(draw: st.DrawFn, rows: int) -> pa.Array:
    """A column of any type: scalars, arrays of a shape, or lists of any length."""
    kind = draw(st.sampled_from(list(ELEMENTS)))
    cell = ELEMENTS[kind]
    is_text = kind == pa.string()
    shape = draw(st.sampled_from(["scalar"] if is_text else ["scalar", "array", "matrix", "list"]))
    cell = cell | st.none()
    match shape:
        case "array":
            cell, kind = st.lists(cell, min_size=2, max_size=2), pa.list_(kind, 2)
        case "matrix":
            row = st.lists(cell, min_size=2, max_size=2)
            cell, kind = st.lists(row, min_size=3, max_size=3), pa.list_(pa.list_(kind, 2), 3)
        case "list":
            cell, kind = st.lists(cell, max_size=3), pa.list_(kind)
    return pa.array(draw(st.lists(cell | st.none(), min_size=rows, max_size=rows)), kind)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(1, 5))
    found = draw(st.lists(columns(rows), min_size=1, max_size=4))
    return pa.table(found, names=[f"c{number}" for number in range(len(found))])


@pytest.mark.parametrize("suffix", FORMATS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables())
def test_any_table_comes_back_from_astropy(table: pa.Table, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.unlink(missing_ok=True)
    try:
        found = write(table, path)
        if suffix == ".fits":
            assert_sums(path)
    except CatalogError as error:
        expected = {".fits": "missing integers in", ".vot": "missing ones", ".ecsv": "missing bool"}
        assert expected[suffix] in str(error)
    else:
        assert_equal(table, found, suffix)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=90)
FACTS = st.dictionaries(TEXTS, TEXTS | st.integers() | st.floats() | st.booleans(), max_size=3)


@pytest.mark.parametrize("suffix", FORMATS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.tuples(TEXTS, TEXTS, TEXTS, TEXTS), facts=FACTS)
def test_no_text_about_a_table_makes_it_unreadable(
    texts: tuple[str, ...], facts: dict[str, Any], suffix: str, tmp_path: Path
) -> None:
    unit, ucd, description, name = texts
    field = pa.field(
        "n", pa.int64(), metadata={"unit": unit, "ucd": ucd, "description": description}
    )
    metadata = {"name": name, "description": description, "meta": json.dumps(facts)}
    path = tmp_path / f"a{suffix}"
    path.unlink(missing_ok=True)
    store(pa.table([[7]], schema=pa.schema([field], metadata)), path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of units and UCDs that are none
        assert Table.read(path)["n"].tolist() == [7]
    assert open_table(str(path), path.name).header == ("n",)


@pytest.mark.parametrize(
    "facts", [{"K": float("nan")}, {"K": float("-inf")}, {"k" * 70: "y" * 100}, {"ZTABLE": True}]
)
def test_facts_that_fits_cannot_hold_do_not_make_it_unreadable(
    facts: dict[str, Any], tmp_path: Path
) -> None:
    schema = pa.schema([pa.field("n", pa.int64())], {"meta": json.dumps(facts)})
    path = tmp_path / "a.fits"
    store(pa.table([[7]], schema=schema), path)
    assert Table.read(path)["n"].tolist() == [7]
    assert open_table(str(path), path.name).header == ("n",)


DESCRIBED = pa.schema(
    [
        pa.field("r", pa.float64(), metadata={"unit": "mag", "ucd": "phot.mag;em.opt.R"}),
        pa.field("flux", pa.float32(), metadata={"unit": "erg / (s cm2)", "description": "F" * 90}),
        pa.field("odd", pa.float32(), metadata={"unit": "luptitude"}),
        pa.field("2MASS id", pa.string()),
    ],
    metadata={
        "name": "sample",
        "description": "Bright stars",
        "meta": json.dumps({"TELESCOP": "SDSS 2.5-M", "data_release": "DR17", "EQUINOX": 2000.0}),
    },
)


@pytest.fixture
def described() -> pa.Table:
    return pa.table([[17.5], [1.0], [2.0], ["x"]], schema=DESCRIBED)


@pytest.mark.parametrize("suffix", FORMATS)
def test_units_and_texts_about_columns_and_table_are_kept(
    described: pa.Table, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a{suffix}"
    store(described, path)
    if suffix == ".vot":
        table = votable.parse_single_table(path)
        assert (table.name, table.description) == ("sample", "Bright stars")
        assert table.fields[1].description == "F" * 90
        assert [field.name for field in table.fields] == DESCRIBED.names
        assert table.fields[0].ucd == "phot.mag;em.opt.R"
        assert {each.name: each.value for each in table.params} == {
            "TELESCOP": "SDSS 2.5-M",
            "data_release": "DR17",
            "EQUINOX": 2000.0,
        }
    elif suffix == ".fits":
        header = fits.getheader(path, 1)
        assert (header["EXTNAME"], header["EQUINOX"]) == ("sample", 2000.0)
        assert header["TUCD1"] == "phot.mag;em.opt.R"
        assert header["TCOMM2"] == "F" * 90
        assert header["DATAREL"] == "DR17"
        assert open_table(str(path), path.name).schema.metadata[b"name"] == b"sample"
    else:
        found = Table.read(path)
        assert found.meta["TELESCOP"] == "SDSS 2.5-M"
        assert found["flux"].description == "F" * 90
        assert found["r"].meta["ucd"] == "phot.mag;em.opt.R"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the unit that is none of the standard
        units = [column.unit for column in Table.read(path).columns.values()]
    assert units[:2] == [Unit("mag"), Unit("erg / (s cm2)")]
    assert str(units[2]) == "luptitude"


def test_fits_has_valid_checksums(described: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    store(described, path)
    assert_sums(path)


def test_votable_is_valid(described: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / "a.vot"
    table = described.drop_columns(["odd"])
    store(table, path)
    assert votable.validate(path, output=None), votable.validate(path)


@pytest.mark.parametrize(
    ("columns", "suffix", "message"),
    [
        ({"größe": [1]}, ".fits", "column 'größe' has a name that FITS cannot hold"),
        ({"n" * 69: [1]}, ".fits", "at most 68 characters"),
        ({"name": ["Sjöström"]}, ".fits", "column name has texts that are not plain ASCII"),
        ({"name": ["a\0b"]}, ".fits", "column name has texts that are not plain ASCII"),
        ({"name": ["a\0b"]}, ".vot", "column name has texts with control characters"),
        ({"name": [["a"]]}, ".vot", "column name has lists of texts"),
        ({"name": [["a"]]}, ".fits", "column name has lists of texts"),
        ({"name": [["a"]]}, ".ecsv", "column name has lists of texts"),
        ({"s": [{"a": 1}]}, ".ecsv", "column s has type struct<a: int64>"),
        (
            {"n": np.array([2**64 - 1], "u8")},
            ".vot",
            "column n has integers above 63 bits",
        ),
        ({"n": [2**63 - 1, -(2**63), None]}, ".fits", "column n has missing integers"),
        ({"n": [[1, None]]}, ".fits", "column n has missing integers"),
        ({"": [1]}, ".ecsv", "a column has no name"),
        ({"a\n": [1]}, ".vot", "column 'a\\n' has control characters in its name"),
    ],
)
def test_what_a_format_cannot_hold_is_one_error(
    columns: dict[str, Any], suffix: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a{suffix}"
    with pytest.raises(CatalogError, match=r"^a\.csv: ") as error:
        write(pa.table(columns), path)
    assert message in str(error.value)
    assert not path.exists()


def test_duplicate_names_are_one_error(tmp_path: Path) -> None:
    table = pa.table([[1], [2]], names=["a", "a"])
    with pytest.raises(CatalogError, match="duplicate column a"):
        write(table, tmp_path / "a.fits")


def test_times_become_text(tmp_path: Path) -> None:
    times = pa.array([0, None], pa.timestamp("ms", "Europe/Berlin"))
    found = write(pa.table({"t": times, "day": times.cast(pa.date32())}), tmp_path / "a.vot")
    assert found["t"][0] == "1970-01-01T00:00:00.000Z"
    assert found["day"][0] == "1970-01-01"


def test_a_large_table_is_written_in_batches(tmp_path: Path) -> None:
    values = np.arange(25_000)
    table = pa.table({"n": values, "even": [[n] * (n % 3) for n in values.tolist()]})
    assert_equal(table, write(table, tmp_path / "a.fits"), ".fits")


def test_a_failure_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.fits"
    target.write_text("old")

    def write_half() -> None:
        with replace_file(target) as path:
            path.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert [each.name for each in tmp_path.iterdir()] == ["a.fits"]
    assert target.read_text() == "old"
