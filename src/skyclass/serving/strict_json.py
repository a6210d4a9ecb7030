"""Parses JSON strictly: what could be understood in two ways is refused."""

import json
from itertools import chain
from typing import Any

import orjson

from skyclass.serving.objects import Refusal, describe, echo

_CONTAINERS = frozenset((dict, list))


def parse_json(body: bytes, max_nesting: int) -> dict[str, Any]:
    """Parse a JSON object: neither NaN nor Infinity, no trailing comma, no key twice, UTF-8.

    Args:
        body: The JSON.
        max_nesting: How deep lists and objects may lie in each other.

    Raises:
        Refusal: 400, or 413 when it is nested too deeply.
    """
    if not body:
        raise Refusal(400, "the body is empty: send JSON")
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if error.msg.startswith("depth limit"):  # the parser's own, far above ours
            raise _too_deep(max_nesting) from None
        raise Refusal(400, f"the body is not JSON ({error})") from None
    if not isinstance(payload, dict):
        raise Refusal(400, f"the body is {describe(payload)}, an object is needed")
    # Every member is written with a colon, and every level with a bracket. So few of them leave
    # nothing to look for, and that is so for most small requests.
    colons = body.count(b":")
    if colons != len(payload) or body.count(b"[") + body.count(b"{") > max_nesting:
        members, nesting = _measure(payload)
        if nesting > max_nesting:
            raise _too_deep(max_nesting)
        if members != colons:  # a key stands twice, or a text contains a colon
            _refuse_duplicates(body, payload)
    return payload


def _measure(payload: dict[str, Any]) -> tuple[int, int]:
    """Count the members of all objects, and the levels, one level at a time."""
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


def _refuse_duplicates(body: bytes, payload: dict[str, Any]) -> None:
    """Parse once more, slowly, with a parser that shows every member."""
    rows = payload.get("instances")
    ended = 0  # objects, of which the rows are the first

    def check(members: list[tuple[str, Any]]) -> None:
        nonlocal ended
        seen: set[str] = set()
        for name, _ in members:
            if name in seen:
                where = f"row {ended}: " if isinstance(rows, list) and ended < len(rows) else ""
                raise Refusal(400, f"{where}{echo(name)} stands twice in one object")
            seen.add(name)
        ended += 1

    json.loads(body.decode(), object_pairs_hook=check, parse_int=float)


def _too_deep(max_nesting: int) -> Refusal:
    return Refusal(
        413, f"lists and objects lie in each other more than {max_nesting} deep: flatten them"
    )
