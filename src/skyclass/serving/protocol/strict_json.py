"""Strict JSON: rejects what parsers may interpret differently, and validates the structure."""

import json
import re
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

import msgspec
import orjson

from skyclass.serving.errors import RequestError, describe, quote

T = TypeVar("T")

_CONTAINERS = frozenset((dict, list))
_PATH = re.compile(r".* - at `\$([\w.\[\]]*)`", re.DOTALL)
_PATH_STEP = re.compile(r"\w+")
_MISSING = re.compile(r"Object missing required field `(\w+)`")


@dataclass(eq=False)
class StructureError(Exception):
    """A JSON value that differs from its declared type.

    Attributes:
        path: Names and indexes that lead to the value.
        value: The value.
        missing: The required field that it lacks, if that is the difference.
    """

    path: tuple[str | int, ...]
    value: Any
    missing: str | None


def parse_json(body: bytes, max_nesting: int) -> dict[str, Any]:
    """Parse a JSON object: UTF-8, no NaN or Infinity, no trailing comma, no duplicate key.

    msgspec's typed decoder would be faster, but it accepts duplicate keys and any nesting.

    Args:
        body: The request body.
        max_nesting: How many levels of lists and objects are allowed.

    Raises:
        RequestError: 400, or 413 when the nesting is too deep.
    """
    if not body:
        raise RequestError(400, "the body is empty: send JSON")
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if error.msg.startswith("depth limit"):  # the parser's own limit, far above ours
            raise _nesting_error(max_nesting) from None
        raise RequestError(400, f"the body is not JSON: {error}") from None
    if not isinstance(payload, dict):
        raise RequestError(400, f"the body is {describe(payload)}, expected an object")
    # Every member has a colon, and every level a bracket: where their numbers are small enough
    # there can be neither a duplicate key nor too deep a nesting. Most small requests end here.
    colons = body.count(b":")
    if colons != len(payload) or body.count(b"[") + body.count(b"{") > max_nesting:
        members, nesting = _measure(payload)
        if nesting > max_nesting:
            raise _nesting_error(max_nesting)
        if members != colons:  # a duplicate key, or text that contains a colon
            _reject_duplicate_keys(body, payload)
    return payload


def convert(payload: Any, kind: type[T]) -> T:
    """Convert parsed JSON to a msgspec type.

    Raises:
        StructureError: The structure differs from the type.
    """
    try:
        return msgspec.convert(payload, kind)
    except msgspec.ValidationError as error:
        text = str(error)
        found, missing = _PATH.fullmatch(text), _MISSING.match(text)
        steps = _PATH_STEP.findall(found[1]) if found else []
        path = tuple(int(step) if step.isdecimal() else step for step in steps)
        value = payload
        for step in path:
            value = value[step]
        raise StructureError(path, value, missing[1] if missing else None) from None


def _measure(payload: dict[str, Any]) -> tuple[int, int]:
    """Count the members of all objects, and the levels of nesting, one level at a time."""
    members = levels = 0
    objects: list[dict[str, Any]] = [payload]
    lists: list[list[Any]] = []
    while objects or lists:
        members += sum(map(len, objects))
        levels += 1
        inside = [*map(dict.values, objects), *lists]
        if _CONTAINERS.isdisjoint(map(type, chain.from_iterable(inside))):
            break
        containers = [each for each in chain.from_iterable(inside) if type(each) in _CONTAINERS]
        objects = [each for each in containers if type(each) is dict]
        lists = [each for each in containers if type(each) is list]
    return members, levels


def _reject_duplicate_keys(body: bytes, payload: dict[str, Any]) -> None:
    """Parse again with the slow parser of the standard library, which reports every member."""
    rows = payload.get("instances")
    completed = 0  # objects so far, the rows first

    def check(members: list[tuple[str, Any]]) -> None:
        nonlocal completed
        seen: set[str] = set()
        for name, _ in members:
            if name in seen:
                is_row = isinstance(rows, list) and completed < len(rows)
                where = f"row {completed}: " if is_row else ""
                raise RequestError(400, f"{where}duplicate key {quote(name)}: send each key once")
            seen.add(name)
        completed += 1

    json.loads(body.decode(), object_pairs_hook=check, parse_int=float)


def _nesting_error(max_nesting: int) -> RequestError:
    return RequestError(
        413, f"lists and objects are nested more than {max_nesting} deep: flatten them"
    )
