"""Strict JSON accepts every valid document and rejects duplicate keys and deep nesting."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from skyclass.serving.errors import RequestError
from skyclass.serving.protocol.strict_json import parse_json

NESTING = 6
NAMES = st.sampled_from(["a", "b", ":", '":', '\\":', "instances"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_documents_without_duplicates_are_accepted(payload: dict[str, Any]) -> None:
    assume(depth(payload) <= NESTING)
    for body in (orjson.dumps(payload), json.dumps(payload, indent=1).encode()):
        assert parse_json(body, NESTING) == payload


@given(NAMES, VALUES, st.integers(0, 2))
def test_duplicate_keys_are_rejected(name: str, value: Any, levels: int) -> None:
    member = f"{json.dumps(name)}: {json.dumps(value)}"
    body = f"{{{member}, {member}}}"
    for _ in range(levels):
        body = f'{{"more": [{body}]}}'
    assume(2 * levels + 1 + depth(value) <= NESTING)
    with pytest.raises(RequestError, match="duplicate key"):
        parse_json(body.encode(), NESTING)


@pytest.mark.parametrize("levels", [NESTING + 1, 100, 1024, 1025, 100_000])
def test_deep_nesting_is_rejected(levels: int) -> None:
    body = b'{"a": ' * levels + b"1" + b"}" * levels
    with pytest.raises(RequestError, match=f"more than {NESTING} deep") as raised:
        parse_json(body, NESTING)
    assert raised.value.status == 413


def test_the_row_with_a_duplicate_key_is_named() -> None:
    body = b'{"instances": [{"u": 1, "g": 2}, {"u": 1, "u": 2}]}'
    with pytest.raises(RequestError, match=r"^row 1: duplicate key 'u': send each key once$"):
        parse_json(body, NESTING)
