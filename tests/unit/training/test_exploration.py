"""The exploration report, with complete and with incomplete rows."""

import re
from pathlib import Path

import pandas as pd
import pytest

from skyclass.errors import CatalogError
from skyclass.sources import open_source
from skyclass.sources.simulated import draw
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import InputGroup
from skyclass.survey.observation import CLASSES, Era
from skyclass.training.reports import exploration
from skyclass.training.reports.exploration import SourceSample, read_sample, render_exploration

pytestmark = pytest.mark.slow


def render(rows: pd.DataFrame) -> str:
    return render_exploration(SourceSample("some rows", rows, len(rows), 0))


def table_row(page: str, name: str) -> list[str]:
    """Return the cells of the table row whose first cell is `name`."""
    found = re.search(rf"<tr>\s*<td>{re.escape(name)}</td>(.*?)</tr>", page, re.DOTALL)
    assert found, name
    return re.findall(r"<td>(.*?)</td>", found[1], re.DOTALL)


def read_text(cell: str) -> list[str]:
    """Return the texts of a table cell, without its tags."""
    return re.sub(r"<.*?>", " ", cell).split()


def test_group_statistics_match_the_rows() -> None:
    rows = draw(Era.LEGACY, 0, 400, 0).to_pandas()
    page = render(rows)
    stars = rows[rows["class"] == "STAR"]
    count, r_magnitude, *_ = table_row(page, "STAR")
    assert read_text(count) == [f"{len(stars)}", f"{len(stars) / 400:.1%}"]
    assert r_magnitude.startswith(f"{stars['r'].median():.2f}<br>")
    assert read_text(table_row(page, "legacy")[0]) == ["400", "100.0%"]
    assert page.count("<svg") == 6
    assert not re.findall(r"""(?:src|href)=["']https?:""", page)


def test_column_statistics_match_the_rows() -> None:
    rows = draw(Era.LEGACY, 0, 400, 0).to_pandas()
    rows["u"] = rows["u"].mask(rows.index < 40)
    page = render(rows)
    u = rows["u"]
    quantiles = [f"{u.quantile(q):.2f}" for q in (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)]
    missing, *values = table_row(page, "u")
    assert (read_text(missing), values) == (["40", "10.0%"], quantiles)
    assert read_text(table_row(page, "u-g")[0]) == ["40", "10.0%"]
    assert table_row(page, "mjd")[-1] == f"{rows['mjd'].max()}"
    assert "SIMULATED 400 rows." in page


def test_shares_of_rows_with_optional_inputs_are_shown_by_class() -> None:
    rows = draw(Era.LEGACY, 0, 400, 0, groups=(InputGroup.WISE,)).to_pandas()
    rows.loc[:99, "w1"] = None
    page = render(rows)
    section = page.partition("<h2>Optional inputs</h2>")[2].partition("<h2>")[0]
    cells = re.search(r"<td>w1</td>(.*?)</tr>", section, re.DOTALL)
    assert cells
    shares = re.findall(r"<td>(.*?)</td>", cells[1])
    measured = rows["w1"].notna()
    expected = [measured.mean(), *(measured[rows["class"] == name].mean() for name in CLASSES)]
    assert shares == [f"{share:.1%}" for share in expected]
    assert "<td>psf</td><td>none</td>" in section


@pytest.mark.parametrize(
    "change",
    [
        {"class": None},
        {"redshift": float("nan")},
        {"u": float("nan")},
        {"class": "STAR"},
        {"release": "DR17"},
    ],
    ids=str,
)
def test_report_is_rendered_for_incomplete_rows(change: dict[str, object]) -> None:
    page = render(draw(Era.BOSS, 0, 200, 0).to_pandas().assign(**change))
    assert page.count("<svg") == 6
    assert not re.search(r"<td>-?nan", page)
    assert ("Synthetic data." in page) is (change.get("release") != "DR17")


def test_large_source_is_sampled_uniformly(
    monkeypatch: pytest.MonkeyPatch, store: ObjectStore
) -> None:
    monkeypatch.setattr(exploration, "MAX_ROWS", 500)
    sample = read_sample(open_source("simulated:?rows=9000", store))
    assert sample.rows_in == 9_000
    assert 200 < len(sample.rows) <= 500
    # Every batch has the same probability, so rows of all three eras are in the sample.
    assert sample.rows["plate"].floordiv(30_000).nunique() == 3


def test_invalid_rows_are_counted(tmp_path: Path, store: ObjectStore) -> None:
    rows = draw(Era.BOSS, 0, 50, 0).to_pandas()
    rows.assign(u=rows["u"].mask(rows.index < 5, 99)).to_csv(tmp_path / "a.csv", index=False)
    sample = read_sample(open_source(str(tmp_path / "a.csv"), store))
    assert (sample.rows_in, sample.rejected, len(sample.rows)) == (50, 5, 45)
    rows.assign(u=99).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(CatalogError, match="none of its 50 rows is valid"):
        read_sample(open_source(str(tmp_path / "b.csv"), store))
