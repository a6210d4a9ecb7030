"""The command line: exit statuses, one-line errors, and results that a program can read."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from skyclass.cli import main
from skyclass.local.s3_server import free_ports
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import REPORT, Release
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import CLASSES
from skyclass.training.evaluation import evaluate
from tests.support.releases import draft
from tests.support.rows import frame
from tests.support.scoring import publish_tree


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


class Terminal:
    """Runs commands as the shell does, but in this process."""

    def __init__(self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capture = patch, capture

    def run(self, *arguments: str) -> Ended:
        self._patch.setattr("sys.argv", ["skyclass", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        status = ended.value.code
        assert isinstance(status, int)
        return Ended(status, *self._capture.readouterr())

    def complaint(self, *arguments: str) -> str:
        """What a command that fails says: one line on standard error."""
        ended = self.run(*arguments)
        assert (ended.status, ended.out) == (1, "")
        assert "Traceback" not in ended.err
        (line,) = [line for line in ended.err.splitlines() if line.startswith("error: ")]
        assert ended.err.rstrip().endswith(line)
        return line


@pytest.fixture
def terminal(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Terminal:
    return Terminal(monkeypatch, capsys)


@pytest.fixture
def published(store: ObjectStore, tmp_path: Path) -> list[Release]:
    """Two releases, one promoted after the other."""
    champions, releases = LocalChampionStore(store), []
    right = np.eye(len(CLASSES))
    judged = evaluate(np.array(CLASSES, object), right, Mode.SPECTROSCOPIC, "random_holdout")
    manifest = draft(Mode.SPECTROSCOPIC, metrics={judged.split: judged})
    for number in range(2):
        (tmp_path / REPORT).write_text(f"report {number}")
        releases.append(champions.registry.publish(manifest, {REPORT: tmp_path / REPORT}))
        champions.promote(releases[-1], "for a test", "test")
    return releases


def test_a_result_is_json_and_nothing_else(terminal: Terminal, store: ObjectStore) -> None:
    ended = terminal.run("ingest", "simulated:?rows=50", "--json")
    assert ended.status == 0
    accounting = json.loads(ended.out)
    assert (accounting["rows_in"], accounting["inserted"]) == (50, 50)


def test_a_result_is_readable_without_json(terminal: Terminal, store: ObjectStore) -> None:
    ended = terminal.run("ingest", "simulated:?rows=1200")
    assert "rows in" in ended.out
    assert "1,200" in ended.out


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        pytest.param(None, "no such file: check the path", id="no file"),
        pytest.param("", "the file is empty", id="empty"),
        pytest.param(frame({}).drop(columns="u").to_csv(), "column u is missing", id="no column"),
        pytest.param("name,value\nx,1\n", "no known dialect", id="unknown dialect"),
        pytest.param(frame({"plate": ""}).to_csv(), "all 1 rows were rejected", id="unfit"),
    ],
)
def test_a_source_that_cannot_be_read_is_one_line(
    content: str | None, complaint: str, terminal: Terminal, store: ObjectStore, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "a.csv").write_text(content)
    assert complaint in terminal.complaint("ingest", str(tmp_path / "a.csv"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["drift", "--mode", "both"],
        ["drift", "--start", "yesterday"],
        ["run", "training", "--param", "mode"],
        ["releases", "show"],
        ["paint"],
    ],
    ids=" ".join,
)
def test_wrong_usage_has_its_own_status(arguments: list[str], terminal: Terminal) -> None:
    ended = terminal.run(*arguments)
    assert (ended.status, ended.out) == (2, "")
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("parameter", "complaint"),
    [
        ("colour=red", "unknown parameter 'colour': choose from"),
        ("newest_rows=many", "newest_rows is 'many': expected an integer"),
    ],
)
def test_a_wrong_parameter_starts_no_run(
    parameter: str, complaint: str, terminal: Terminal, tmp_path: Path
) -> None:
    assert complaint in terminal.complaint("run", "training", "--param", parameter)
    assert not (tmp_path / "home" / "runs").exists()


def test_a_store_that_is_down_is_one_line(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    assert f"127.0.0.1:{port}" in terminal.complaint("releases")


def test_wrong_keys_are_one_line_that_tells_no_key(
    terminal: Terminal, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    complaint = terminal.complaint("releases")
    assert "AWS_SECRET_ACCESS_KEY" in complaint
    assert "not-the-secret" not in complaint


def test_a_missing_setting_is_named(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    assert "AWS_ENDPOINT_URL" in terminal.complaint("releases")


def test_without_a_release_it_says_how_to_make_one(terminal: Terminal, store: ObjectStore) -> None:
    ended = terminal.run("releases")
    assert (ended.status, ended.out) == (0, "")
    assert "skyclass run training" in ended.err


def test_releases_mark_the_champion(terminal: Terminal, published: list[Release]) -> None:
    listed = json.loads(terminal.run("releases", "--json").out)
    assert [each["id"] for each in listed if each["champion"]] == [published[1].id]
    lines = terminal.run("releases").out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("*")] == [published[1].id[:12]]


def test_a_release_is_shown_by_the_beginning_of_its_id(
    terminal: Terminal, published: list[Release]
) -> None:
    shown = json.loads(terminal.run("releases", "show", published[0].id[:12]).out)
    assert shown["id"] == published[0].id
    assert "no release" in terminal.complaint("releases", "show", "0" * 12)


def test_a_rollback_leads_to_the_predecessor_and_a_promotion_back(
    terminal: Terminal, published: list[Release]
) -> None:
    old, new = published
    back = json.loads(terminal.run("rollback", "--reason", "too slow", "--json").out)
    assert (back["from_release"], back["to_release"]) == (new.id, old.id)
    assert back["reason"] == "too slow"
    forth = json.loads(terminal.run("promote", new.id[:12], "--json").out)
    assert (forth["from_release"], forth["to_release"]) == (old.id, new.id)


def test_nothing_is_rolled_back_where_nothing_is_served(
    terminal: Terminal, store: ObjectStore
) -> None:
    assert "nothing to roll back" in terminal.complaint("rollback", "--mode", "photometric")


def test_a_window_without_a_champion_cannot_be_judged(
    terminal: Terminal, store: ObjectStore
) -> None:
    assert "run training first" in terminal.complaint("drift")


def test_an_endpoint_that_is_away_is_one_line(terminal: Terminal, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    frame({}).to_csv(tmp_path / "a.csv")
    url = f"http://127.0.0.1:{port}"
    assert url in terminal.complaint("predict", str(tmp_path / "a.csv"), "--url", url)


def test_a_damaged_release_is_not_served(
    terminal: Terminal, published: list[Release], store: ObjectStore, tmp_path: Path
) -> None:
    folder = tmp_path / "release"
    LocalChampionStore(store).registry.download(published[0], folder)
    (folder / REPORT).write_text("report X")
    assert f"{REPORT}: " in terminal.complaint("serve", "--release", str(folder))


def test_eda_leaves_a_page_and_ingests_nothing(
    terminal: Terminal, store: ObjectStore, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    ended = terminal.run("eda", "simulated:?rows=300", "-o", str(page), "--json")
    assert ended.status == 0
    assert json.loads(ended.out) == {"rows": 300, "unfit": 0, "report": str(page)}
    assert page.read_text().startswith("<!doctype html>")
    assert "does not exist" in terminal.complaint("eda", "table:")


def test_score_accounts_for_every_row(
    terminal: Terminal, store: ObjectStore, tmp_path: Path
) -> None:
    assert terminal.run("ingest", "simulated:?rows=60", "--json").status == 0
    assert "no photometric champion yet" in terminal.complaint(
        "score", "table:", "--mode", "photometric"
    )
    release = publish_tree(store, tmp_path / "release", Mode.PHOTOMETRIC)
    arguments = ("score", "table:", "--mode", "photometric", "--release", release.id[:8], "--json")
    assert json.loads(terminal.run(*arguments).out)["inserted"] == 60
    assert json.loads(terminal.run(*arguments).out)["rows_in"] == 0


def test_a_source_of_mostly_unfit_rows_is_refused_with_examples(
    terminal: Terminal, store: ObjectStore, tmp_path: Path
) -> None:
    unfit = [{"u": "bright"} if fibre % 5 == 0 else {} for fibre in range(200)]
    frame(*unfit).to_csv(tmp_path / "a.csv", index=False)
    line = terminal.complaint("ingest", str(tmp_path / "a.csv"))
    assert "40 of 200 rows were rejected, most of them for u: not a number in 20.0%" in line
    assert "plate=267 mjd=51608 fiber_id=1 u=bright; " in line
