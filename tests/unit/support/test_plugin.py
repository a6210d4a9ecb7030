"""The plugin fails a marked test whose history does not pass, and records one that does."""

from pathlib import Path

import pytest

from tests.support.faults.records import FOLDER_VARIABLE, Record, read_records

PASSING = """
    history.fire("evidence")
    history.acknowledge("row-1", "row-2")
    with history.recovery():
        history.find(["row-1", "row-2"])
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the records."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def run(pytester: pytest.Pytester, body: str, fault: str = "disk-full") -> pytest.RunResult:
    """Run a fault test with a body."""
    pytester.makepyfile(
        f"import pytest\n@pytest.mark.fault('{fault}')\ndef test_fault(history):\n    pass\n{body}"
    )
    return pytester.runpytest_inprocess("-p", "tests.support.faults.plugin", "-p", "no:xdist")


def test_passed_test_is_recorded(pytester: pytest.Pytester, folder: Path) -> None:
    run(pytester, PASSING).assert_outcomes(passed=1)
    (record,) = read_records(folder)
    assert record == Record("disk-full", record.test, 1, 2, 2, 0, 0.0)
    assert record.test.endswith("::test_fault")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (PASSING.replace("history.fire", "str"), "*the fault was not injected*"),
        (
            PASSING.replace('find(["row-1", ', "find(["),
            "*1 acknowledged operations are lost: *row-1*",
        ),
        (PASSING + "    assert not history.found", "*assert not*"),
    ],
    ids=["without evidence", "with a lost row", "that fails itself"],
)
def test_failed_test_is_not_recorded(
    body: str, message: str, pytester: pytest.Pytester, folder: Path
) -> None:
    result = run(pytester, body)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([message])
    assert read_records(folder) == []


def test_fault_that_is_not_in_the_catalogue_fails(pytester: pytest.Pytester) -> None:
    result = run(pytester, PASSING, fault="meteorite")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*meteorite is not in the catalogue of faults*"])


def test_history_without_a_fault_fails(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_no_fault(history): pass")
    result = pytester.runpytest_inprocess("-p", "tests.support.faults.plugin", "-p", "no:xdist")
    result.assert_outcomes(errors=1)
