"""`skyclass explain`."""

import json
from pathlib import Path

import pandas as pd
import pytest

from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import Release
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.command_line import CommandLine
from tests.support.html import extract_text
from tests.support.rows import frame
from tests.support.scoring import publish_tree

KEY = "267,51608,2"


@pytest.fixture
def champion(store: ObjectStore, tmp_path: Path) -> Release:
    """A spectroscopic decision tree."""
    release = publish_tree(store, tmp_path / "release", Mode.SPECTROSCOPIC)
    LocalChampionStore(store).promote(release, "for a test", "test")
    return release


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A galaxy, a quasar, and an object that was not measured in u."""
    rows = frame({}, {"g": 18.9, "r": 18.7, "u": 19.1, "redshift": 2.1}, {"u": -9999.0})
    rows.to_csv(tmp_path / "objects.csv", index=False)
    return str(tmp_path / "objects.csv")


def test_the_contributions_of_an_object_are_printed(
    command_line: CommandLine, champion: Release, file: str
) -> None:
    result = command_line.run("explain", file, "--row", "2")
    assert result.status == 0
    first, base, *lines = result.out.splitlines()
    assert first.startswith("objects.csv, line 3: QSO with probability")
    assert base.startswith("  mean of reference objects: 0.")
    assert lines[0].startswith("  redshift = 2.1 (typical QSO ")
    assert lines[0].endswith(" towards QSO")
    assert len(lines) == 6


def test_an_object_is_found_by_its_key(
    command_line: CommandLine, champion: Release, file: str
) -> None:
    by_key = command_line.run("explain", file, "--key", KEY, "--json").out
    assert by_key == command_line.run("explain", file, "--row", "2", "--json").out
    (document,) = json.loads(by_key)
    assert document["release"] == champion.id
    shares = [each["shares"]["QSO"] for each in document["contributions"]]
    total = document["base"]["QSO"] + sum(shares)
    assert total == pytest.approx(document["probabilities"]["QSO"], abs=1e-6)


def test_contributions_are_written_as_a_table(
    command_line: CommandLine, champion: Release, file: str, tmp_path: Path
) -> None:
    output = tmp_path / "why.csv"
    arguments = ("explain", file, "--row", "1", "--row", "2", "-o", str(output))
    assert command_line.run(*arguments, "--release", champion.id[:12]).status == 0
    rows = pd.read_csv(output)
    assert rows.loc[rows["input"] == "r", "unit"].tolist() == ["mag", "mag"]
    assert rows.loc[rows["input"] == "r", "value"].tolist() == pytest.approx([17.65245, 18.7])
    for _, of_object in rows.groupby("object"):
        sums = of_object.set_index("input")[["GALAXY", "QSO", "STAR"]]
        total = sums.loc["probability"]
        pd.testing.assert_series_equal(sums.drop("probability").sum(), total, check_names=False)


def test_contributions_are_written_as_a_page(
    command_line: CommandLine, champion: Release, file: str, tmp_path: Path
) -> None:
    output = tmp_path / "why.html"
    assert command_line.run("explain", file, "--row", "2", "-o", str(output)).status == 0
    text = extract_text(output.read_text())
    assert "Why QSO? Contributions to its probability" in text
    assert champion.id in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--row", "4"), "objects.csv: no object 4: choose 1 to 3"),
        (("--key", "1,2,3"), "no object with plate 1, mjd 2, fiber_id 3: check the numbers"),
        ((), "objects.csv, line 4: u not measured: choose another object"),
        (("--mode", "photometric"), "there is no photometric champion yet"),
        (("--row", "1", "-o", "missing/why.csv"), "missing/why.csv cannot be written"),
    ],
)
def test_errors_are_one_line(
    command_line: CommandLine,
    champion: Release,
    file: str,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    assert message in command_line.run_failing("explain", file, *arguments)


def test_a_large_file_needs_a_choice(
    command_line: CommandLine, champion: Release, tmp_path: Path
) -> None:
    frame(*[{}] * 101).to_csv(tmp_path / "many.csv", index=False)
    message = command_line.run_failing("explain", str(tmp_path / "many.csv"))
    assert "many.csv: 101 objects, at most 100 are explained: choose some with --row" in message


@pytest.mark.parametrize("arguments", [("--key", "1,2"), ("-o", "why.png")])
def test_malformed_options_are_wrong_usage(
    command_line: CommandLine, file: str, arguments: tuple[str, ...]
) -> None:
    assert command_line.run("explain", file, *arguments).status == 2
