"""Prints results to standard output: for people one line a field, for programs JSON."""

import json
from typing import Any

from rich.console import Console

out = Console()
err = Console(stderr=True)


def print_result(result: dict[str, Any], as_json: bool) -> None:
    """Print the fields of a result; lines are not wrapped, however narrow the terminal is."""
    if as_json:
        print_json(result)
        return
    width = max(len(name) for name in result)
    for name, value in result.items():
        text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value
        line = f"{name.replace('_', ' '):<{width}}  {text}"
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def print_json(result: Any) -> None:
    """Print a result as indented JSON; values that JSON lacks become text."""
    print(json.dumps(result, indent=2, default=str))  # noqa: T201 - Rich would add styles
