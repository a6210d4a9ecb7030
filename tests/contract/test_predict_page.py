"""What the prediction page asks and shows, without a browser."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from skyclass.apps.predict.asking import Clients, ask, ask_about_table, mode_of
from skyclass.apps.predict.page import EXAMPLE_LABELS, EXAMPLES, describe, problem, read_numbers
from skyclass.apps.predict.pictures import picture
from skyclass.client import Client
from skyclass.errors import ServingError
from skyclass.local.s3_server import Access
from skyclass.promotion.local import LocalChampionStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import CLASSES
from tests.support.predictor import Site, publish, serving

GALAXY = [19.622, 18.480, 17.381, 16.909, 16.560]


@pytest.fixture(scope="module")
def clients(s3: Access, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    """Both models, served by processes of their own."""
    site = Site.make(s3, tmp_path_factory.mktemp("home"))
    for mode in Mode:
        release = publish(site, tmp_path_factory.mktemp(str(mode)), mode, seed=0)
        LocalChampionStore(site.store).promote(release, "for a test", "test")
    log = tmp_path_factory.mktemp("logs")
    first, second = Mode
    with (
        serving(site, first, None, log / "first") as one,
        serving(site, second, None, log / "second") as two,
    ):
        yield {first: Client(one.url, first), second: Client(two.url, second)}


def test_an_empty_redshift_leaves_the_photometric_model_to_answer(clients: Clients) -> None:
    with_redshift, without = ask(clients, GALAXY, 0.236), ask(clients, GALAXY, None)
    assert (with_redshift.mode, without.mode) == (Mode.SPECTROSCOPIC, Mode.PHOTOMETRIC)
    assert with_redshift.model_version != without.model_version
    assert with_redshift.predicted == "GALAXY"
    assert sum(without.probabilities.values()) == pytest.approx(1)
    assert mode_of(float("nan")) is Mode.PHOTOMETRIC
    assert mode_of(0.0) is Mode.SPECTROSCOPIC


@pytest.mark.parametrize(
    ("magnitudes", "words"),
    [
        ([None, *GALAXY[1:]], "row 0: u is null, expected a number"),
        ([*GALAXY[:4], -9999], "row 0: z was not measured (-9999)"),
    ],
)
def test_the_endpoints_own_words_are_shown(
    clients: Clients, magnitudes: list[float | None], words: str
) -> None:
    with pytest.raises(ServingError) as refused:
        ask(clients, magnitudes, 0.2)
    assert str(refused.value).startswith(words)
    assert words in problem(refused.value)


def test_what_is_unusual_is_shown_with_the_answer(clients: Clients) -> None:
    answer = ask(clients, [*GALAXY[:4], 40.0], 0.2)
    assert answer.flags == "z outside 5 to 35"
    shown = describe(answer)
    assert "Unusual: z outside 5 to 35" in shown
    assert answer.model_version[:12] in shown


def test_each_example_is_answered_as_it_is_called(clients: Clients) -> None:
    for values, label in zip(EXAMPLES, EXAMPLE_LABELS, strict=True):
        wanted = next(
            name
            for name, word in zip(CLASSES, ("galaxy", "quasar", "star"), strict=True)
            if word in label
        )
        *magnitudes, redshift = read_numbers(values)
        assert ask(clients, magnitudes, redshift).predicted == wanted, label


def test_what_is_typed_is_read_as_numbers() -> None:
    assert read_numbers(["1", "2.5", "3,5", " 4 ", "", ""]) == [1, 2.5, 3.5, 4, None, None]
    with pytest.raises(ServingError, match="g: 'bright' is no number"):
        read_numbers(["1", "bright", "", "", "", ""])


def test_a_table_is_answered_row_by_row_by_the_model_that_can(
    clients: Clients, tmp_path: Path
) -> None:
    rows = pd.DataFrame(
        [EXAMPLES[0], EXAMPLES[5], EXAMPLES[3]] * 700, columns=INPUTS[Mode.SPECTROSCOPIC]
    )
    rows.insert(0, "name", [f"object {number}" for number in range(len(rows))])
    table = tmp_path / "objects.csv"
    rows.to_csv(table, index=False)
    told: list[tuple[int, int]] = []
    target, answers = ask_about_table(
        clients, table, tmp_path, lambda done, of: told.append((done, of))
    )
    assert told == [(0, 2100), (1000, 2100), (1400, 2100), (2100, 2100)]
    assert list(answers["mode"][:3]) == ["spectroscopic", "photometric", "spectroscopic"]
    assert list(answers["predicted"][:3]) == ["GALAXY", "STAR", "QSO"]
    written = pd.read_csv(target)
    assert list(written["name"]) == list(rows["name"])
    assert target.name == "objects-classified.csv"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("u,g,r,i\n1,2,3,4\n", "the table has no column z"),
        ("u,g,r,i,z\n", "the table has no rows"),
        ("", "not readable"),
        ("u,g,r,i,z,redshift\n19,18,17,16,,0.1\n", "z is null, expected a number"),
    ],
)
def test_a_table_that_cannot_be_answered_says_why(
    clients: Clients, tmp_path: Path, content: str, words: str
) -> None:
    table = tmp_path / "objects.csv"
    table.write_text(content)
    with pytest.raises(ServingError, match=words):
        ask_about_table(clients, table, tmp_path, lambda done, of: None)


@pytest.mark.parametrize("name", CLASSES)
def test_a_picture_is_valid_says_what_it_shows_and_is_drawn_alike_each_time(name: str) -> None:
    drawn = picture(name)
    root = ET.fromstring(drawn)  # noqa: S314 - our own text
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"].startswith("Drawing of a")
    assert picture(name) == drawn
    assert len({picture(each) for each in CLASSES}) == 3
