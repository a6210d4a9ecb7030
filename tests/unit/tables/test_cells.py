"""Numbers and ids in users' tables: equal whatever their type, or named in one error."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from skyclass.errors import CatalogError
from skyclass.tables.files import open_table, read_integers, read_numbers
from skyclass.tables.files.base import TableFile

ID = 1237648720693755918


@pytest.fixture
def file(tmp_path: Path) -> TableFile:
    """A file of one column `u` and 30 rows."""
    (tmp_path / "a.csv").write_text("u\n" + "1\n" * 30)
    return open_table(str(tmp_path / "a.csv"), "a.csv")


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["19.622", None, "-9999"]),
        pa.array([" 19.622", "", "-9999.00 "]),
        pa.array(["19.622", "nan", "-9999"]).dictionary_encode(),
        pa.array([19.622, None, -9999.0]),
        pa.array([Decimal("19.62200"), None, Decimal("-9999.00000")], pa.decimal128(12, 5)),
        pa.array(["19.622", "NULL", "-9999"], pa.large_string()),
        pa.array(["19.622", "NULL", "-9999"], pa.string_view()),
    ],
    ids=lambda column: str(column.type),
)
def test_equal_numbers_of_all_types_are_equal(file: TableFile, column: pa.Array) -> None:
    numbers = read_numbers(file, 0, pa.chunked_array([column]))
    np.testing.assert_array_equal(numbers, [19.622, np.nan, -9999.0])


@pytest.mark.parametrize("text", ["19,5", "1_000", "0x10", "bright", "1 2", "--1"])
def test_a_text_that_is_no_number_is_named_with_its_line(file: TableFile, text: str) -> None:
    column = pa.chunked_array([["19.5", "20", text, "x"]])
    with pytest.raises(CatalogError) as error:
        read_numbers(file, 0, column, first_row=13)
    assert str(error.value) == f"a.csv, line 17: u is '{text}', expected a number: correct it"


@pytest.mark.parametrize(
    "column",
    [
        pa.array([ID, None]),
        pa.array([ID, None], pa.uint64()),
        pa.array([str(ID), ""]),
        pa.array([f" {ID}.0", None]),
        pa.array([Decimal(ID), None], pa.decimal128(20, 0)),
    ],
    ids=lambda column: str(column.type),
)
def test_ids_are_exact_whatever_their_type(file: TableFile, column: pa.Array) -> None:
    assert read_integers(file, 0, pa.chunked_array([column])).to_pylist() == [ID, None]


def test_floats_are_ids_while_they_represent_every_integer_exactly(file: TableFile) -> None:
    column = pa.chunked_array([pa.array([267.0, None, 2.0**53])])
    assert read_integers(file, 0, column).to_pylist() == [267, None, 2**53]
    with pytest.raises(CatalogError, match=r"column u has floating-point numbers above 2\^53"):
        read_integers(file, 0, pa.chunked_array([pa.array([float(ID)])]))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (pa.array(["1", "1.23766e+18"]), "1.23766e+18"),
        (pa.array(["1", str(2**63)]), str(2**63)),
        (pa.array([1, 2**63], pa.uint64()), str(2**63)),
        (pa.array([1.0, 2.5]), "2.5"),
        (pa.array(["1", "SDSS J0012"]), "SDSS J0012"),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else value,
)
def test_a_value_that_is_no_id_is_named_with_its_line(
    file: TableFile, column: pa.Array, value: str
) -> None:
    with pytest.raises(
        CatalogError, match=r"a\.csv, line 3: u is .*, expected a whole number"
    ) as e:
        read_integers(file, 0, pa.chunked_array([column]))
    assert repr(value) in str(e.value)
