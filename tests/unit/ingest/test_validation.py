"""Which rows are kept, and why the others are not."""

import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyclass.ingest.validation import validate_rows
from skyclass.survey.observation import KEY, MEASUREMENTS, OBSERVATION_COLUMNS, ROW_COLUMNS
from tests.support.rows import frame


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
def test_a_sound_row_is_kept(change: dict[str, Any]) -> None:
    checked = validate_rows(frame(change))
    assert (len(checked.valid), len(checked.rejected)) == (1, 0)


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
        ({"u": "bright"}, "u: not a number"),
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
    ],
    ids=str,
)
def test_an_unfit_row_is_rejected_with_its_reason(change: dict[str, Any], reason: str) -> None:
    checked = validate_rows(frame({}, change, {}))
    assert len(checked.valid) == 2
    assert list(checked.rejected["reason"]) == [reason]


@pytest.mark.parametrize("sentinel", [-9999, -9999.0, "-9999", "-9999.0"])
def test_the_sentinel_becomes_null_and_is_counted(sentinel: object) -> None:
    checked = validate_rows(frame({"u": sentinel, "redshift": sentinel}, {"z": sentinel}, {}))
    assert checked.not_measured == 3
    assert len(checked.rejected) == 0
    assert checked.valid[list(MEASUREMENTS)].isna().sum().sum() == 3


def test_a_row_with_two_faults_is_one_row_with_two_reasons() -> None:
    checked = validate_rows(frame({"u": "bright", "class": "PLANET"}))
    assert len(checked.valid) == 0
    [reason] = checked.rejected["reason"]
    assert reason == "u: not a number; class: not one of GALAXY, QSO, STAR"


def test_rejected_rows_are_kept_as_they_came() -> None:
    [row] = validate_rows(frame({"u": "bright", "fiber_id": "0286"})).rejected.to_dict("records")
    assert (row["u"], row["fiber_id"], row["class"]) == ("bright", "0286", "GALAXY")


def test_rows_keep_their_order_whatever_their_index() -> None:
    changes = [{"u": "bright"} if fibre % 3 == 0 else {} for fibre in range(1, 10)]
    checked = validate_rows(frame(*changes).set_index(pd.Index(range(9, 0, -1))))
    assert list(checked.valid["fiber_id"]) == [1, 2, 4, 5, 7, 8]
    assert list(checked.rejected["fiber_id"]) == ["3", "6", "9"]


def test_kept_rows_have_the_types_of_the_table() -> None:
    types = validate_rows(frame({"u": "21.5"})).valid.dtypes
    assert all(
        types[name] == ("int32" if name in KEY else "float64") for name in OBSERVATION_COLUMNS[:-1]
    )


FIELDS = st.none() | st.floats().map(str) | st.integers().map(str) | st.text(max_size=6)
CHANGES = st.dictionaries(st.sampled_from(ROW_COLUMNS), FIELDS, max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.lists(CHANGES, max_size=6))
def test_every_row_is_either_kept_or_rejected(changes: list[dict[str, str | None]]) -> None:
    checked = validate_rows(frame(*changes))
    assert len(checked.valid) + len(checked.rejected) == len(changes)
    assert (checked.rejected["reason"] != "").all()
    assert (checked.valid[list(KEY)] > 0).all(axis=None)
