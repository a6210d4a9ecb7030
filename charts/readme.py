"""Generates the tables of the chart's README: the values and the grants of the store identities."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from skyclass.admin.identities import GRANTS, Role

CHART = Path(__file__).parent / "skyclass"
README = CHART / "README.md"
_KEY = re.compile(r"(?P<indent> *)(?P<key>\w+):")


def generate_readme() -> str:
    """Return the README with its tables replaced; the text between them is kept."""
    text = README.read_text()
    for name, table in (("values", _make_values_table()), ("identities", _make_identities_table())):
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        head, rest = text.split(begin)
        text = head + begin + table + end + rest.split(end)[1]
    return text


def read_descriptions(values: str) -> dict[str, str]:
    """Return the descriptions in values.yaml by dotted key.

    A description is the comment above a key: its first line begins with `# --`, and the lines that
    follow without a break belong to it.
    """
    descriptions: dict[str, str] = {}
    path: list[str] = []
    comment: list[str] = []
    for line in values.splitlines():
        text = line.strip()
        if text.startswith("# -- "):
            comment = [text.removeprefix("# -- ")]
        elif text.startswith("#"):
            comment = [*comment, text.removeprefix("# ")] if comment else []
        elif match := _KEY.match(line):
            path = [*path[: len(match["indent"]) // 2], match["key"]]
            if comment:
                descriptions[".".join(path)] = " ".join(comment)
            comment = []
        else:
            comment = []
    return descriptions


def _make_values_table() -> str:
    text = (CHART / "values.yaml").read_text()
    defaults = yaml.safe_load(text)
    rows = [
        (f"`{key}`", f"`{json.dumps(_look_up(defaults, key))}`", description)
        for key, description in read_descriptions(text).items()
    ]
    return _make_table(("key", "default", "description"), rows)


def _make_identities_table() -> str:
    rows = [
        (str(role), grant.bucket, f"`{grant.prefix}`" if grant.prefix else "(all)",
         ", ".join(grant.verbs))
        for role, grants in GRANTS.items()
        if role is not Role.PIPELINE
        for grant in grants
    ]  # fmt: skip
    return _make_table(("identity", "bucket", "prefix", "access"), rows)


def _look_up(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values[part]
    return values


def _make_table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
