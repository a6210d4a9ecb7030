"""docs/architecture.md describes the packages and layers that exist."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text()
TREE, GRAPH = re.findall(r"```\w*\n(.*?)```", PAGE, re.DOTALL)[:2]


def layers() -> list[list[str]]:
    """The layers of the import contract, the lowest first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (found,) = [each for each in contracts["contracts"] if each["type"] == "layers"]
    return [re.findall(r"\w+", layer) for layer in reversed(found["layers"])]


def test_the_picture_shows_every_folder() -> None:
    packages = {path.parent.name for path in (ROOT / "src/skyclass").glob("*/__init__.py")}
    drawn = re.findall(r"^  (\w+)/", TREE, re.MULTILINE)
    assert set(drawn) == packages
    top = re.findall(r"^(\w+)/", TREE, re.MULTILINE)
    assert all((ROOT / name).is_dir() for name in top)


def test_the_picture_lists_packages_in_the_order_of_their_layers() -> None:
    order = [name for layer in layers() for name in layer]
    drawn = re.findall(r"^  (\w+)/", TREE, re.MULTILINE)
    heights = [next(n for n, layer in enumerate(layers()) if name in layer) for name in drawn]
    assert set(drawn) <= set(order)
    assert heights == sorted(heights)


def test_the_graph_has_the_layers_of_the_import_contract() -> None:
    drawn = [set(re.findall(r"\w+", label)) for label in re.findall(r'\["(.+?)"\]', GRAPH)]
    assert drawn == [set(layer) for layer in layers() if layer != ["__main__"]]


def test_every_file_to_edit_exists() -> None:
    table = PAGE.partition("## How to add")[2].partition("\n## ")[0]
    files = re.findall(r"`(\w+(?:/\w+)+\.py)`", table)
    assert files
    for file in files:
        assert (ROOT / "src/skyclass" / file).exists() or (ROOT / file).exists(), file
