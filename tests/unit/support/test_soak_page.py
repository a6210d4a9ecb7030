"""docs/reliability.md ends with the record of the last soak."""

from tests.soak.page import render_section, replace_section
from tests.soak.record import read_record
from tests.support.faults.page import PAGE, SOAK_HEADING


def test_page_is_rendered_from_the_record() -> None:
    record = read_record()
    assert record is None or PAGE.read_text().endswith(SOAK_HEADING + render_section(record))


def test_section_replaces_the_earlier_one_only() -> None:
    page = replace_section("# Reliability\n\nFaults\n", "\nfirst\n")
    assert page == "# Reliability\n\nFaults\n\n## Soak\n\nfirst\n"
    assert replace_section(page, "\nsecond\n") == page.replace("first", "second")
