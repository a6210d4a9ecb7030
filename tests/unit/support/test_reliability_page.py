"""docs/reliability.md is written from complete runs only."""

import re
from dataclasses import replace

import pytest

from tests.support.faults.catalogue import FAULTS
from tests.support.faults.page import PAGE, IncompleteRunError, render_page, replace_faults
from tests.support.faults.records import HISTORY, ROOT, Record, read_history

_MARK = re.compile(r'mark\.fault\(\s*"([a-z-]+)"')
COMPLETE = [
    Record(name, f"test_{name}", 1, fault.least_operations, 1, 0, 0.5)
    for name, fault in FAULTS.items()
]


def test_each_fault_of_the_catalogue_has_a_test() -> None:
    sources = (path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    marked = {name for source in sources for name in _MARK.findall(source)}
    assert marked == set(FAULTS)


def test_page_has_a_row_for_each_fault() -> None:
    page = render_page(COMPLETE)
    for fault in FAULTS.values():
        place = " (cluster)" if fault.needs_cluster else ""
        assert (
            f"| {fault.title}{place} | 1 | {fault.least_operations:,} | 1 | 0 | 0 | 0.5 |" in page
        )


def test_row_sums_the_tests_of_a_fault() -> None:
    extra = Record("disk-full", "test_more", 2, 1_000, 900, 3, 12.25)
    page = render_page([*COMPLETE, extra])
    assert "a job is full | 3 | 1,800 | 901 | 0 | 3 | 12.2 |" in page


@pytest.mark.parametrize("missing", FAULTS)
def test_run_without_a_fault_is_rejected(missing: str) -> None:
    with pytest.raises(IncompleteRunError, match=rf"too few operations: {missing} \(0 of"):
        render_page([record for record in COMPLETE if record.fault != missing])


def test_run_with_too_few_operations_is_rejected() -> None:
    first, *others = COMPLETE
    few = replace(first, attempted=first.attempted - 1)
    with pytest.raises(IncompleteRunError, match=r"store-down-at-start \(599 of 600 rows"):
        render_page([few, *others])


def test_section_about_the_soak_is_kept() -> None:
    page = replace_faults("# Old\n\n## Soak\n\nfigures\n", "# New\n")
    assert page == "# New\n\n## Soak\n\nfigures\n"
    assert replace_faults("# Old\n", "# New\n") == "# New\n"


@pytest.mark.skipif(not HISTORY.exists(), reason="no complete run is recorded: make test-faults")
def test_page_is_the_recorded_run() -> None:
    page = PAGE.read_text()
    assert page == replace_faults(page, render_page(read_history()))
