"""V1 and V2 read the same rows in every form, and reject what they cannot read."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyclass.serving.errors import RequestError
from skyclass.serving.inputs import Inputs
from skyclass.serving.prediction import Prediction
from skyclass.serving.protocol import v1_request, v1_response, v2
from skyclass.serving.protocol.outputs import OUTPUTS
from skyclass.serving.protocol.tensors import read_inputs
from skyclass.survey.features import ALL_INPUTS, INPUTS, OPTIONAL_INPUTS, Mode
from skyclass.survey.observation import RANGES

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
    """Return what a reader returns, or status and message of its RequestError."""
    try:
        found: Inputs = read()
    except RequestError as error:
        assert error.status in (400, 413, 422)
        assert error.message
        assert "\n" not in error.message
        return error.status, error.message
    rows = [[None if math.isnan(cell) else cell for cell in row] for row in found.values.tolist()]
    return rows, found.flags


def read_v1(
    instances: Any, mode: Mode = Mode.PHOTOMETRIC, missing_bands: Sequence[str] = ()
) -> Inputs:
    body = orjson.dumps({"instances": instances})
    inputs, _ = v1_request.parse_request(body, mode, MAX_ROWS, NESTING, missing_bands)
    return inputs


def read_v2(
    tensors: Any, mode: Mode, rest: bytes = b"", missing_bands: Sequence[str] = ()
) -> Inputs:
    request = v2.read_structure({"inputs": tensors})
    return read_inputs(request.inputs, rest, mode, MAX_ROWS, missing_bands)


@given(st.data(), st.sampled_from(list(Mode)))
def test_every_form_of_the_same_numbers_has_the_same_outcome(data: Any, mode: Mode) -> None:
    names = INPUTS[mode]
    width = len(names)
    row = st.lists(NUMBERS, min_size=width, max_size=width)
    rows = data.draw(st.lists(row, min_size=1, max_size=MAX_ROWS + 1))
    order = data.draw(st.permutations(range(width)))
    shape = [len(rows), width]

    by_position = outcome(lambda: read_v1(rows, mode))
    records = [{names[at]: row[at] for at in order} for row in rows]
    tensor = {"name": "x", "shape": shape, "datatype": "FP64"}
    flat = {**tensor, "data": [cell for row in rows for cell in row]}
    nested = {**tensor, "data": rows}
    raw = np.array(rows, "<f8").tobytes()
    binary = {**tensor, "parameters": {"binary_data_size": len(raw)}}
    columns = [
        {**tensor, "name": names[at], "shape": shape[:1], "data": [row[at] for row in rows]}
        for at in order
    ]
    assert outcome(lambda: read_v1(records, mode)) == by_position
    for tensors, rest in (([flat], b""), ([nested], b""), ([binary], raw), (columns, b"")):
        assert outcome(lambda a=tensors, b=rest: read_v2(a, mode, b)) == by_position


@given(st.data(), st.sampled_from([(), ("u",), ("u", "z")]))
def test_every_form_of_the_same_optional_inputs_has_the_same_outcome(
    data: Any, missing_bands: tuple[str, ...]
) -> None:
    mode = Mode.PHOTOMETRIC
    names, required = ALL_INPUTS[mode], len(INPUTS[mode])
    value = st.one_of(st.none(), st.sampled_from([3, 6]), NUMBERS)
    optional = st.lists(value, min_size=len(names) - required, max_size=len(names) - required)
    band = {name: st.none() | NUMBERS if name in missing_bands else NUMBERS for name in names}
    row = st.builds(list.__add__, st.tuples(*map(band.get, names[:required])).map(list), optional)
    rows = data.draw(st.lists(row, min_size=1, max_size=4))

    def read(*arguments: Any) -> Any:
        return outcome(lambda: read_v2(*arguments, missing_bands=missing_bands))

    records = [dict(zip(names, row, strict=True)) for row in rows]
    by_name = outcome(lambda: read_v1(records, mode, missing_bands))
    omitted = [{k: v for k, v in record.items() if v is not None} for record in records]
    if any(record.keys() & OPTIONAL_INPUTS[mode] for record in omitted):
        absent = outcome(lambda: read_v1(omitted, mode, missing_bands))
        assert absent == by_name
    tensor = {"name": "x", "shape": [len(rows), len(names)], "datatype": "FP64"}
    raw = np.array(rows, "<f8").tobytes()
    columns = [
        {**tensor, "name": name, "shape": [len(rows)], "data": [row[at] for row in rows]}
        for at, name in enumerate(names)
    ]
    assert read([{**tensor, "data": rows}], mode) == by_name
    assert read([{**tensor, "parameters": {"binary_data_size": len(raw)}}], mode, raw) == by_name
    assert read(columns, mode) == by_name


ALL = ALL_INPUTS[Mode.PHOTOMETRIC]
ROW = dict.fromkeys(INPUTS[Mode.PHOTOMETRIC], 20.0)


@pytest.mark.parametrize(
    ("given", "flagged"),
    [
        ({"psf_u": 21.0, "type": 6, "w1": None}, []),
        ({"psf_u": -9999, "type": -9999}, []),
        ({"psf_u": 36}, ["psf_u"]),
        ({"alpha": 361, "delta": 91}, ["alpha", "delta"]),
        ({"err_g": -0.1, "w2": 1e300}, ["err_g", "w2"]),
    ],
)
def test_an_invalid_optional_input_is_flagged_and_not_used(
    given: dict[str, Any], flagged: list[str]
) -> None:
    found = read_v1([{**ROW, **given}, {**ROW, "type": 3}])
    limits = {name: RANGES[name] for name in flagged}
    flags = [f"{name} outside {a:g} to {b:g}, not used" for name, (a, b) in limits.items()]
    assert found.flags == ({0: flags} if flags else {})
    used = {name for name in given if not math.isnan(found.values[0, ALL.index(name)])}
    assert used == {name for name in given if given[name] in (21.0, 6)}
    assert found.values[1, ALL.index("type")] == 3


def test_a_type_is_3_or_6() -> None:
    found = read_v1([{**ROW, "type": 4}])
    assert found.flags == {0: ["type not 3 or 6, not used"]}
    assert math.isnan(found.values[0, ALL.index("type")])


def test_a_row_may_lack_one_band_that_the_release_can_do_without() -> None:
    found = read_v1([{**ROW, "u": None}, ROW, {**ROW, "z": -9999}], missing_bands=["u", "z"])
    assert np.isnan(found.values).nonzero()[0].tolist()
    assert found.flags == {0: ["u not measured"], 2: ["z not measured"]}
    with pytest.raises(RequestError, match="row 1: u, z were not measured: a row may lack one of"):
        read_v1([ROW, {**ROW, "u": None, "z": None}], missing_bands=["u", "z"])
    with pytest.raises(RequestError, match="row 0: g is null, expected a number"):
        read_v1([{**ROW, "g": None}], missing_bands=["u", "z"])


def test_optional_inputs_are_unknown_in_spectroscopic_mode() -> None:
    row = dict.fromkeys(INPUTS[Mode.SPECTROSCOPIC], 1.0)
    with pytest.raises(RequestError, match="row 0: 'psf_u' is not an input of skyclass-spectro"):
        read_v1([{**row, "psf_u": 20.0}], Mode.SPECTROSCOPIC)


def test_responses_to_requests_without_anything_new_are_as_before() -> None:
    prediction = Prediction("id", "release", np.array([[0.25, 0.5, 0.25]]), {}, {}, *[None] * 3)
    assert v1_response.write_response(prediction) == (
        b'{"predictions":[{"class":"QSO","probabilities":{"GALAXY":0.25,"QSO":0.5,"STAR":0.25}}],'
        b'"model_version":"release"}'
    )
    outputs = [(OUTPUTS[name], False) for name in ("class", "probabilities")]
    body, _ = v2.write_response(prediction, outputs, "model", "id")
    assert body == (
        b'{"model_name":"model","model_version":"release","id":"id","outputs":[{"name":"class",'
        b'"shape":[1],"datatype":"BYTES","data":["QSO"]},{"name":"probabilities","shape":[1,3],'
        b'"datatype":"FP32","data":[0.25,0.5,0.25]}]}'
    )


def parse_v1(body: bytes, mode: Mode) -> Inputs:
    return v1_request.parse_request(body, mode, MAX_ROWS, NESTING)[0]


def parse_v2(body: bytes, mode: Mode, json_length: str | None = None) -> Inputs:
    request, rest = v2.parse_request(body, json_length, NESTING)
    return read_inputs(request.inputs, rest, mode, MAX_ROWS)


@given(JSON, st.sampled_from(list(Mode)))
def test_any_json_is_read_or_rejected_over_v1(instances: Any, mode: Mode) -> None:
    body = orjson.dumps({"instances": instances})
    outcome(lambda: parse_v1(body, mode))


@pytest.mark.slow
@given(st.lists(JSON, max_size=7), JSON, JSON, st.sampled_from(list(Mode)))
def test_any_json_is_read_or_rejected_over_v2(
    data: list[Any], shape: Any, other: Any, mode: Mode
) -> None:
    tensors = [
        {"name": name, "shape": shape, "datatype": "FP64", "data": data}
        for name in INPUTS[mode][: len(data)]
    ]
    for inputs in (tensors, [{**tensors[0], "name": "x"}] if tensors else other, other):
        body = orjson.dumps({"inputs": inputs, "parameters": other if data else None})
        outcome(lambda given=body: parse_v2(given, mode))


@given(st.binary(max_size=40), st.text(max_size=4))
def test_any_bytes_are_read_or_rejected(body: bytes, length: str) -> None:
    outcome(lambda: parse_v1(body, Mode.PHOTOMETRIC))
    outcome(lambda: parse_v2(body, Mode.PHOTOMETRIC, length))


def reject_duplicates(members: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(members)) == len(members)
    return dict(members)


VALID = [
    b'{"instances": [[20, 19.5, 19, 18.75, 1e1], [20.5, 19, 19, 18, 18]]}',
    b'{"coverage": 0.9, "instances": [{"u": 20, "g": 19, "r": 19, "i": 18, "z": 18, "w1": null}]}',
    b'{"instances": [{"plate": 1, "mjd": 2, "fiber_id":3, "u":9, "g":9, "r":9, "i":9, "z":9}]}',
]


@given(
    st.sampled_from(VALID),
    st.lists(
        st.tuples(
            st.integers(0, 60),
            st.integers(0, 9),
            st.sampled_from(
                [
                    b"",
                    b",",
                    b"1",
                    b".",
                    b"-",
                    b"e",
                    b"0",
                    b'"u": 20, ',
                    b" ",
                    b"[",
                    b"}",
                    b'"',
                    b"\xff",
                    b"NaN",
                ]
            ),
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_only_strict_json_is_accepted(body: bytes, edits: list[tuple[int, int, bytes]]) -> None:
    for at, removed, added in edits:
        body = body[:at] + added + body[at + removed :]
    found = outcome(lambda: parse_v1(body, Mode.PHOTOMETRIC))
    if isinstance(found[0], list):  # accepted: another strict parser reads the same numbers
        payload = json.loads(body.decode(), object_pairs_hook=reject_duplicates)
        assert outcome(lambda: read_v1(payload["instances"])) == found


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            b'{"instances": [[1, 2, 3, 4, 5]], "instances": [[1, 2, 3, 4, 5]]}',
            "duplicate key 'inst",
        ),
        (b'{"instances": [{"u": 1, "g": 1, "r": 1, "i": 1, "z": 1, "u": 1}]}', "row 0: duplicate"),
        (b'{"instances": [[1, 2, 3, 4, 5]], "coverage": 2}', "coverage is a number"),
        (b'{"instances": [[1, 2, 3, 4, 5]], "x": {"x": 1, "x": 1}}', "duplicate key 'x'"),
        (b'{"instances": [[1, 2, 3, 4, 5], {"u": 1, "g": 1, "r": 1, "i": 1, "z": 1}]}', "one form"),
        (b'{"instances": [[1, 2, 3, 4, NaN]]}', "not JSON"),
    ],
)
def test_what_the_typed_parser_would_accept_is_rejected(body: bytes, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        parse_v1(body, Mode.PHOTOMETRIC)


def test_nesting_below_that_of_a_request_is_rejected() -> None:
    with pytest.raises(RequestError, match="nested more than 2 deep"):
        v1_request.parse_request(VALID[0], Mode.PHOTOMETRIC, MAX_ROWS, 2)


def test_keys_are_kept_for_the_rows_that_have_one() -> None:
    record = dict.fromkeys(INPUTS[Mode.PHOTOMETRIC], 20)
    key = {"plate": 267, "mjd": 51608.0, "fiber_id": 2**31 - 1}
    found = read_v1([record, {**record, **key}])
    assert found.keys is not None
    assert found.keys.tolist() == [[0, 0, 0], [267, 51608, 2**31 - 1]]
    assert read_v1([record]).keys is None


@pytest.mark.parametrize("position", [0, 7, 14])
def test_the_first_invalid_value_is_named(position: int) -> None:
    cells: list[Any] = [20.0] * 15
    cells[position] = "bad"
    cells[14] = None if position < 14 else cells[14]
    rows = [cells[at : at + 5] for at in range(0, 15, 5)]
    row, column = divmod(position, 5)
    with pytest.raises(RequestError) as raised:
        read_v1(rows)
    assert raised.value.message.startswith(f"row {row}: {INPUTS[Mode.PHOTOMETRIC][column]} is")


@pytest.mark.parametrize(
    ("row", "flags"),
    [
        ([5, 35, 5, 35, 20, -0.05], {}),
        ([5, 35, 5, 35, 20, 8], {}),
        ([4.999, 35, 5, 35, 20, 0], {0: ["u outside 5 to 35"]}),
        ([300, 20, 20, 20, 20, -5], {0: ["u outside 5 to 35", "redshift outside -0.05 to 8"]}),
    ],
)
def test_values_outside_the_surveys_range_are_flagged(
    row: list[float], flags: dict[Any, Any]
) -> None:
    assert read_v1([row], Mode.SPECTROSCOPIC).flags == flags


def test_numbers_keep_all_digits() -> None:
    body = json.dumps({"instances": [[21.21101, 18.92085, 17.65245, 17.1453, 16.75657]]}).encode()
    assert parse_v1(body, Mode.PHOTOMETRIC).values.tolist() == json.loads(body)["instances"]
