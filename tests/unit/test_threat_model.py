"""The threat model names tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINKS = re.findall(
    r"\[([^]]+)\]\(\.\./(tests/[\w/]+\.py)\)", (ROOT / "docs/threat-model.md").read_text()
)


@pytest.mark.parametrize(("text", "file"), LINKS)
def test_a_named_test_exists(text: str, file: str) -> None:
    code = (ROOT / file).read_text()
    assert text == Path(file).name or f"\ndef test_{text.replace(' ', '_')}(" in code


def test_tests_are_named() -> None:
    assert len(LINKS) > 30
