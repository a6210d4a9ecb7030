import re
from dataclasses import replace
from datetime import UTC, datetime

from benchmarks.__main__ import BENCHMARKS
from benchmarks.figures import TIMES, Figure
from benchmarks.history import ROOT, Machine, Run, find_latest, read_history
from benchmarks.page import PAGE, render_page
from benchmarks.plot import collect_series, draw_history
from skyclass.training.reports.plots import to_svg

ROW = Figure("Serving", "1 row", 0.4, "ms of CPU", "stock", 32, 10)
MEMORY = Figure("Serving", "memory", 257, "MB", target=250)
RUN = Run(
    benchmark="endpoint",
    date=datetime(2026, 11, 26, 12, 30, tzinfo=UTC),
    revision="be19c58",
    machine=Machine(2, "a processor", {"Python": "3.11.9", "numpy": "2.3"}),
    figures=(ROW, MEMORY),
    seconds=12,
    other_cores=0.1,
)
SLOWER = replace(RUN, revision="048e847", figures=(replace(ROW, ratio=20), MEMORY))


def test_a_figure_stands_beside_its_peer_and_its_target() -> None:
    page = render_page([RUN], has_chart=False)
    assert f"| 1 row | 0.4 ms of CPU | 32 {TIMES} stock | ≥ 10 {TIMES} | met |" in page


def test_a_figure_without_a_peer_has_a_largest_value() -> None:
    assert "| memory | 257 MB |  | ≤ 250 MB | missed |" in render_page([RUN], has_chart=False)


def test_a_topic_of_two_benchmarks_is_one_table() -> None:
    other = replace(RUN, benchmark="startup", figures=(replace(MEMORY, name="ready"),))
    page = render_page([RUN, other], has_chart=False)
    assert page.count("## Serving") == 1
    assert "| ready |" in page


def test_each_run_states_its_date_revision_and_machine() -> None:
    page = render_page([RUN], has_chart=False)
    assert "| `python -m benchmarks.endpoint` | 2026-11-26 12:30 | `be19c58` | 12 s | 0.1 |" in page
    assert "- endpoint: 2 cores (a processor); Python 3.11.9, numpy 2.3" in page


def test_the_page_in_the_documentation_shows_the_history() -> None:
    runs = read_history()
    latest = find_latest(runs, BENCHMARKS)
    expected = render_page(latest, has_chart=bool(collect_series(runs, latest)))
    assert PAGE.read_text() == expected, "run python -m benchmarks --render"


def test_only_figures_of_several_revisions_are_drawn() -> None:
    added = replace(RUN, figures=(*RUN.figures, replace(ROW, name="100 rows")))
    names = {next(iter(each.values())).name for each in collect_series([SLOWER, added], [added])}
    assert names == {"1 row", "memory"}


def test_ratios_to_different_peers_are_not_one_line() -> None:
    other = replace(SLOWER, figures=(replace(ROW, peer="no-op"),))
    assert collect_series([other, RUN], [RUN]) == []


def test_the_chart_names_each_figure_and_its_last_ratio() -> None:
    svg = to_svg(draw_history(collect_series([SLOWER, RUN], [RUN]), ["048e847", "be19c58"]))
    assert all(text in svg for text in ("1 row", f"32 {TIMES}", "257 MB", "048e847"))


def test_other_pages_state_no_speed() -> None:
    speed = re.compile(r"\d ?(rows|requests)/s|\d times as fast|peak memory|CPU seconds")
    computed = ROOT / "docs/scale.md"  # from a figure that it names
    pages = [ROOT / "README.md", *set(ROOT.glob("docs/*.md")) - {PAGE, computed}]
    found = [
        f"{page.name}: {line}"
        for page in pages
        for line in page.read_text().splitlines()
        if speed.search(line)
    ]
    assert not found, f"move these figures to a benchmark and link to docs/performance.md: {found}"
