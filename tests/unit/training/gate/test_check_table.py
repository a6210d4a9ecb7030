"""The table of checks, as reports, pages and KFP show it."""

import pytest

from skyclass.registry.verdicts import Check, GateVerdict, Outcome
from skyclass.training.reports.checks import (
    make_check_table,
    render_checks_html,
    render_checks_markdown,
)
from skyclass.training.results import EvaluationResult

FLOOR = Check(
    group="floor",
    subject="accuracy",
    test="minimum",
    rows=4_003,
    challenger=0.9712345,
    limit=0.93,
    outcome=Outcome.PASSED,
)
SLICE = Check(
    group="slice",
    subject="QSO, r 21 to 22, <eboss>",
    test="McNemar",
    rows=170,
    challenger=0.31,
    champion=0.88,
    limit=0.86,
    p_value=1e-12,
    only_challenger=2,
    only_champion=99,
    outcome=Outcome.FAILED,
)
NEWER = Check(
    group="policy",
    subject="newest night",
    test="newer",
    rows=20_000,
    challenger=58_932,
    champion=58_000,
    outcome=Outcome.PASSED,
)
BETTER = NEWER.model_copy(update={"p_value": 0.2})
TRAFFIC = NEWER.model_copy(update={"group": "traffic", "outcome": Outcome.REVIEW})


def test_groups_are_in_the_order_in_which_people_read() -> None:
    table = make_check_table([NEWER, SLICE, FLOOR])
    assert list(table.groups) == [
        "Floors, random hold-out",
        "Comparison, recall in slices",
        "Promotion policy",
    ]
    assert [row.subject for row in table.notable] == [SLICE.subject]


def test_numbers_are_readable() -> None:
    (floor,), (part,), (newer,) = make_check_table([FLOOR, SLICE, NEWER]).groups.values()
    assert (floor.rows, floor.challenger, floor.champion) == ("4,003", "0.9712", "-")
    assert (floor.limit, floor.p_value) == ("0.9300", "-")
    assert (part.p_value, part.test) == ("<0.001", "McNemar, 2 : 99 rows")
    assert (newer.challenger, newer.champion) == ("58932", "58000")


@pytest.mark.parametrize(
    ("checks", "summary"),
    [
        ([FLOOR], "0 of 1 checks failed"),
        ([FLOOR, SLICE, TRAFFIC], "1 of 3 checks failed, 1 needs a review"),
        ([FLOOR, TRAFFIC, TRAFFIC], "0 of 3 checks failed, 2 need a review"),
    ],
)
def test_summary_counts_failures_and_reviews(checks: list[Check], summary: str) -> None:
    assert make_check_table(checks).summary == summary


def test_html_shows_failures_first_and_collapses_the_rest() -> None:
    html = render_checks_html([FLOOR, SLICE])
    failed, rest = html.split("<details>")
    assert "Failed:</strong> QSO, r 21 to 22, &lt;eboss&gt;" in failed
    assert "accuracy" not in failed
    assert "accuracy" in rest


def test_markdown_has_every_check_and_the_failures_with_their_group() -> None:
    page = render_checks_markdown([FLOOR, SLICE])
    assert page.startswith("1 of 2 checks failed.")
    assert "| Comparison, recall in slices: QSO, r 21 to 22, <eboss> |" in page
    assert "| accuracy | minimum | 4,003 | 0.9712 | - | 0.9300 | - | passed |" in page
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {9}


def test_kfp_shows_the_smallest_p_values() -> None:
    other = SLICE.model_copy(update={"p_value": 0.5, "outcome": Outcome.PASSED})
    gate = GateVerdict(
        passed=False,
        reason="a slice",
        challenger_macro_f1=0.9,
        rows=4_003,
        checks=(FLOOR, other, SLICE, BETTER),
    )
    assert EvaluationResult(metrics={}, gate=gate).list_metrics() == {
        "checks": 4,
        "failed_checks": 1,
        "p_better": 0.2,
        "p_worse_slice": 1e-12,
    }
