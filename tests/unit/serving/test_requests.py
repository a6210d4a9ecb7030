"""What is asked about is the same in every form, and what cannot be read is refused, never more."""

import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyclass.serving.objects import Objects, Refusal
from skyclass.serving.requests import read_v1
from skyclass.serving.strict_json import parse_json
from skyclass.serving.tensors import Tensor, parse_v2, read_v2
from skyclass.survey.features import INPUTS, Mode

MAX_ROWS, NESTING = 20, 16
NUMBERS = st.one_of(
    st.floats(5, 35),
    st.integers(5, 35),
    st.sampled_from([-9999, -9999.0, 0, 1e300, 2**63, 3e38, -1e38, 4.9, 36]),
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=7)
        | st.dictionaries(st.sampled_from([*INPUTS[Mode.SPECTROSCOPIC], "plate", "x"]), inner)
    ),
    max_leaves=30,
)


def outcome(read: Any) -> Any:
    """What a reader finds, or its refusal."""
    try:
        found: Objects = read()
    except Refusal as error:
        assert error.status in (400, 413, 422)
        assert error.message
        assert "\n" not in error.message
        return error.status, error.message
    assert np.isfinite(found.inputs).all()
    return found.inputs.tolist(), found.flags


@given(st.data(), st.sampled_from(list(Mode)))
def test_every_form_of_the_same_numbers_has_the_same_outcome(data: Any, mode: Mode) -> None:
    names = INPUTS[mode]
    width = len(names)
    row = st.lists(NUMBERS, min_size=width, max_size=width)
    rows = data.draw(st.lists(row, min_size=1, max_size=MAX_ROWS + 1))
    order = data.draw(st.permutations(range(width)))
    shape = (len(rows), width)

    by_position = outcome(lambda: read_v1({"instances": rows}, mode, MAX_ROWS))
    records = [{names[at]: row[at] for at in order} for row in rows]
    flat = Tensor("x", shape, "FP64", [cell for row in rows for cell in row])
    nested = Tensor("x", shape, "FP64", rows)
    raw = Tensor("x", shape, "FP64", np.array(rows, "<f8").tobytes())
    columns = [Tensor(names[at], shape[:1], "FP64", [row[at] for row in rows]) for at in order]
    assert outcome(lambda: read_v1({"instances": records}, mode, MAX_ROWS)) == by_position
    for tensors in ([flat], [nested], [raw], columns):
        assert outcome(lambda given=tensors: read_v2(given, mode, MAX_ROWS)) == by_position


@given(JSON, st.sampled_from(list(Mode)))
def test_any_json_is_read_or_refused_over_v1(instances: Any, mode: Mode) -> None:
    body = orjson.dumps({"instances": instances})
    outcome(lambda: read_v1(parse_json(body, NESTING), mode, MAX_ROWS))


@given(st.lists(JSON, max_size=7), JSON, JSON, st.sampled_from(list(Mode)))
def test_any_json_is_read_or_refused_over_v2(
    data: list[Any], shape: Any, other: Any, mode: Mode
) -> None:
    tensors = [
        {"name": name, "shape": shape, "datatype": "FP64", "data": data}
        for name in INPUTS[mode][: len(data)]
    ]
    for inputs in (tensors, [{**tensors[0], "name": "x"}] if tensors else other, other):
        body = orjson.dumps({"inputs": inputs, "parameters": other if data else None})
        outcome(lambda given=body: read_v2(parse_v2(given, None, NESTING).tensors, mode, MAX_ROWS))


@given(st.binary(max_size=40), st.text(max_size=4))
def test_any_bytes_are_read_or_refused(body: bytes, length: str) -> None:
    outcome(lambda: read_v1(parse_json(body, NESTING), Mode.PHOTOMETRIC, MAX_ROWS))
    outcome(lambda: read_v2(parse_v2(body, length, NESTING).tensors, Mode.PHOTOMETRIC, MAX_ROWS))


def test_a_key_is_kept_for_the_rows_that_have_one() -> None:
    record = dict.fromkeys(INPUTS[Mode.PHOTOMETRIC], 20)
    key = {"plate": 267, "mjd": 51608.0, "fiber_id": 2**31 - 1}
    found = read_v1({"instances": [record, {**record, **key}]}, Mode.PHOTOMETRIC, MAX_ROWS)
    assert found.keys is not None
    assert found.keys.tolist() == [[0, 0, 0], [267, 51608, 2**31 - 1]]
    assert read_v1({"instances": [record]}, Mode.PHOTOMETRIC, MAX_ROWS).keys is None


@pytest.mark.parametrize("position", [0, 7, 14])
def test_the_first_bad_cell_of_many_is_named(position: int) -> None:
    cells: list[Any] = [20.0] * 15
    cells[position] = "bad"
    cells[14] = None if position < 14 else cells[14]
    rows = [cells[at : at + 5] for at in range(0, 15, 5)]
    row, column = divmod(position, 5)
    with pytest.raises(Refusal) as refused:
        read_v1({"instances": rows}, Mode.PHOTOMETRIC, MAX_ROWS)
    assert refused.value.message.startswith(f"row {row}: {INPUTS[Mode.PHOTOMETRIC][column]} is")


@pytest.mark.parametrize(
    ("row", "flags"),
    [
        ([5, 35, 5, 35, 20, -0.05], {}),
        ([5, 35, 5, 35, 20, 8], {}),
        ([4.999, 35, 5, 35, 20, 0], {0: ["u outside 5 to 35"]}),
        ([300, 20, 20, 20, 20, -5], {0: ["u outside 5 to 35", "redshift outside -0.05 to 8"]}),
    ],
)
def test_what_the_survey_never_saw_is_flagged(row: list[float], flags: dict[Any, Any]) -> None:
    assert read_v1({"instances": [row]}, Mode.SPECTROSCOPIC, MAX_ROWS).flags == flags


def test_a_number_keeps_all_its_digits() -> None:
    body = json.dumps({"instances": [[21.21101, 18.92085, 17.65245, 17.1453, 16.75657]]}).encode()
    found = read_v1(parse_json(body, NESTING), Mode.PHOTOMETRIC, MAX_ROWS)
    assert found.inputs.tolist() == json.loads(body)["instances"]
