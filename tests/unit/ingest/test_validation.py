"""Each row is either valid, or rejected with its reasons."""

import math
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyclass.ingest.validation import validate_rows
from skyclass.survey.observation import KEY, MEASUREMENTS, ROW_COLUMNS
from skyclass.tables.observations import SCHEMA
from tests.support.rows import table


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"u": "21.5"},
        {"u": " 21.5 "},
        {"redshift": -0.004},
        {"redshift": 7.011},
        {"alpha": 0, "delta": -90},
        {"alpha": 360, "delta": 90},
        {"class": None},
        {"fiber_id": "286.0"},
        {"plate": 2**31 - 1},
    ],
    ids=str,
)
def test_a_valid_row_is_not_rejected(change: dict[str, Any]) -> None:
    result = validate_rows(table(change))
    assert (result.valid.num_rows, result.rejected.num_rows) == (1, 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"plate": None}, "plate: missing"),
        ({"mjd": ""}, "mjd: missing"),
        ({"fiber_id": "six"}, "fiber_id: not a number"),
        ({"fiber_id": 286.5}, "fiber_id: not a whole number"),
        ({"plate": 0}, "plate: not a positive 32-bit number"),
        ({"plate": 2**31}, "plate: not a positive 32-bit number"),
        ({"plate": -9999}, "plate: not a positive 32-bit number"),
        ({"plate": "inf"}, "plate: not a positive 32-bit number"),
        ({"u": "bright"}, "u: not a number"),
        ({"u": "19,5"}, "u: not a number"),
        ({"u": "1_9"}, "u: not a number"),
        ({"u": "inf"}, "u: outside 5 to 35"),
        ({"u": -math.inf}, "u: outside 5 to 35"),
        ({"u": "1e400"}, "u: outside 5 to 35"),
        ({"z": 4.99}, "z: outside 5 to 35"),
        ({"g": -9998}, "g: outside 5 to 35"),
        ({"redshift": 8.01}, "redshift: outside -0.05 to 8"),
        ({"alpha": 360.01}, "alpha: outside 0 to 360"),
        ({"delta": -9999}, "delta: outside -90 to 90"),
        ({"class": "PLANET"}, "class: not one of GALAXY, QSO, STAR"),
        ({"class": "galaxy"}, "class: not one of GALAXY, QSO, STAR"),
        ({"release": None}, "release: missing"),
    ],
    ids=str,
)
def test_invalid_row_is_rejected_with_its_reason(change: dict[str, Any], reason: str) -> None:
    result = validate_rows(table({}, change, {}))
    assert result.valid.num_rows == 2
    assert result.rejected["reason"].to_pylist() == [reason]


@pytest.mark.parametrize("sentinel", [-9999, -9999.0, "-9999", "-9999.0"])
def test_sentinel_becomes_null_and_is_counted(sentinel: object) -> None:
    result = validate_rows(table({"u": sentinel, "redshift": sentinel}, {"z": sentinel}, {}))
    assert result.not_measured == 3
    assert result.rejected.num_rows == 0
    assert sum(result.valid[name].null_count for name in MEASUREMENTS) == 3


def test_a_row_with_two_invalid_values_is_rejected_once_with_both_reasons() -> None:
    result = validate_rows(table({"u": "bright", "class": "PLANET"}))
    assert result.valid.num_rows == 0
    [reason] = result.rejected["reason"].to_pylist()
    assert reason == "u: not a number; class: not one of GALAXY, QSO, STAR"


def test_rejected_rows_keep_their_text() -> None:
    [row] = validate_rows(table({"u": "bright", "fiber_id": "0286"})).rejected.to_pylist()
    assert (row["u"], row["fiber_id"], row["class"]) == ("bright", "0286", "GALAXY")
    assert list(row) == [*ROW_COLUMNS, "reason"]


def test_rows_keep_their_order() -> None:
    changes = [{"u": "bright"} if fibre % 3 == 0 else {} for fibre in range(1, 10)]
    result = validate_rows(table(*changes))
    assert result.valid["fiber_id"].to_pylist() == [1, 2, 4, 5, 7, 8]
    assert result.rejected["fiber_id"].to_pylist() == ["3", "6", "9"]


@pytest.mark.parametrize("kind", [pa.float32(), pa.large_string(), pa.decimal128(9, 3)], ids=str)
def test_columns_can_have_any_type_of_numbers_or_text(kind: pa.DataType) -> None:
    rows = table({"u": 21.5}, {"u": None})
    rows = rows.set_column(rows.column_names.index("u"), "u", rows["u"].cast(kind))
    assert validate_rows(rows).valid["u"].to_pylist() == [21.5, None]


def test_columns_of_other_types_are_rejected_as_text() -> None:
    rows = table({})
    rows = rows.set_column(rows.column_names.index("u"), "u", pa.array([[21.5]]))
    assert validate_rows(rows).rejected.select(["u", "reason"]).to_pylist() == [
        {"u": "[21.5]", "reason": "u: not a number"}
    ]


def test_valid_rows_have_the_types_of_the_table() -> None:
    valid = validate_rows(table({"u": "21.5"})).valid
    assert valid.schema == pa.schema([SCHEMA.field(name) for name in ROW_COLUMNS])


def with_optional(**columns: list[Any]) -> pa.Table:
    """Return rows with optional inputs."""
    rows = table(*[{}] * len(next(iter(columns.values()))))
    for name, values in columns.items():
        rows = rows.append_column(name, pa.array(values))
    return rows


def test_optional_inputs_keep_their_values() -> None:
    result = validate_rows(with_optional(psf_r=["17.5", ""], type=["3", "6"]))
    assert result.valid["psf_r"].to_pylist() == [17.5, None]
    assert result.valid["type"].to_pylist() == [3, 6]
    assert (result.discarded, result.not_measured) == ({}, 0)


def test_invalid_optional_input_becomes_null_and_rejects_no_row() -> None:
    rows = with_optional(psf_r=["99.5", "bright", "17"], type=["1", "2", "3"])
    result = validate_rows(rows)
    assert result.rejected.num_rows == 0
    assert result.valid["psf_r"].to_pylist() == [None, None, 17]
    assert result.valid["type"].to_pylist() == [None, None, 3]
    assert result.discarded == {
        "psf_r: not a number": 1,
        "psf_r: outside 5 to 35": 1,
        "type: neither 3 nor 6": 2,
    }


def test_placeholder_of_an_optional_input_is_counted_as_not_measured() -> None:
    result = validate_rows(with_optional(w1=[-9999.0, 99.0, 0.0, 15.0]))
    assert result.valid["w1"].to_pylist() == [None, None, None, 15.0]
    assert (result.not_measured, result.discarded) == (3, {})


def test_rejected_row_keeps_its_optional_inputs() -> None:
    rows = with_optional(w1=["15.0"])
    rows = rows.set_column(rows.column_names.index("u"), "u", pa.array(["bright"]))
    assert validate_rows(rows).rejected["w1"].to_pylist() == ["15.0"]


FIELDS = st.none() | st.floats().map(str) | st.integers().map(str) | st.text(max_size=6)
CHANGES = st.dictionaries(st.sampled_from(ROW_COLUMNS), FIELDS, max_size=3)


@settings(max_examples=60)
@given(st.lists(CHANGES, max_size=6))
def test_every_row_is_either_valid_or_rejected(changes: list[dict[str, str | None]]) -> None:
    result = validate_rows(table(*changes))
    assert result.valid.num_rows + result.rejected.num_rows == len(changes)
    assert "" not in result.rejected["reason"].to_pylist()
    assert all(pc.all(pc.greater(result.valid[name], 0), min_count=0).as_py() for name in KEY)
