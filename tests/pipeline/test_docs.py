"""What the documentation says about packages and error messages, and where its links lead."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyclass.orchestration.package import DEFAULT_NAMES, SCORING, TRAINING, load_package

ROOT = Path(__file__).resolve().parents[2]
PAGES = (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "charts/skyclass/README.md")
CODE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)


def quoted_messages() -> Iterator[tuple[str, str]]:
    """Page and message of each row in a table with the columns `| step | message |`."""
    for page in (ROOT / "docs").rglob("*.md"):
        for table in re.findall(
            r"\| step \| message \|.*\n\|[-|]+\n((?:\|.*\n)+)", page.read_text()
        ):
            for row in table.splitlines():
                message = re.fullmatch(r" `([^`]+)` ", row.split("|")[2])
                if message:
                    yield page.name, message[1]


def string_literals() -> Iterator[str]:
    """Text of all string literals of the library; the constant parts of f-strings."""
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def find_anchors(page: Path) -> set[str]:
    """Anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def find_broken_links(page: Path) -> Iterator[str]:
    """Links of a page to files and headings that do not exist."""
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", CODE.sub("", page.read_text())):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in find_anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    assert list(find_broken_links(page)) == []


def test_quoted_error_messages_exist() -> None:
    quoted, literals = list(quoted_messages()), list(string_literals())
    assert len(quoted) >= 5
    for page, message in quoted:
        assert any(message in literal for literal in literals), f"{page} quotes {message!r}"


def test_page_lists_every_artifact_with_a_page() -> None:
    page = (ROOT / "docs/kfp.md").read_text()
    listed = re.findall(r"^ {3}\| `(\w+)` \| `(\w+)` \|", page, re.MULTILINE)
    pages = {"system.HTML", "system.Markdown", "system.ClassificationMetrics"}
    components = load_package(TRAINING).pipeline["components"].values()
    found = {
        (name, component["executorLabel"].removeprefix("exec-"))
        for component in components
        for name, output in component["outputDefinitions"].get("artifacts", {}).items()
        if output["artifactType"]["schemaTitle"] in pages
    }
    assert set(listed) == found


def test_page_creates_every_secret_and_config_map_that_the_steps_read() -> None:
    page = (ROOT / "docs/kfp.md").read_text()
    created = re.search(r"for role in (.*); do\n  kubectl .* \"(skyclass-s3-)\$role\"", page)
    assert created
    secrets = {created[2] + role for role in created[1].split()}
    packages = [load_package(pipeline) for pipeline in (TRAINING, SCORING)]
    required = set().union(*(package.required_secrets() for package in packages))
    optional = {DEFAULT_NAMES.signing_secret, DEFAULT_NAMES.notification_secret}
    assert secrets == required - optional
    for config_map in set().union(*(package.required_config_maps() for package in packages)):
        assert f"create configmap {config_map} " in page
