"""The exploration report shows what is there, whatever is missing."""

import re
from pathlib import Path

import pandas as pd
import pytest

from skyclass.errors import CatalogError
from skyclass.sources import open_source
from skyclass.sources.simulated import draw
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.observation import Era
from skyclass.training import exploration
from skyclass.training.exploration import Sample, explore, sample


def page(rows: pd.DataFrame) -> str:
    return explore(Sample("some rows", rows, len(rows), 0))


def test_the_statistics_are_those_of_the_rows() -> None:
    rows = draw(Era.LEGACY, 0, 400, 0).to_pandas()
    text = page(rows)
    stars = rows[rows["class"] == "STAR"]
    share = 100 * len(stars) / 400
    assert re.search(rf"<td>STAR</td><td>{len(stars)}</td><td>{share:.1f} %</td>", text)
    assert f"<td>{stars['r'].median():.2f}<br>" in text
    assert re.search(r"<td>legacy</td><td>400</td><td>100\.0 %</td>", text)
    assert text.count("<svg") == 6
    assert not re.findall(r"""(?:src|href)=["']https?:""", text)


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
def test_it_copes_with_what_is_not_there(change: dict[str, object]) -> None:
    text = page(draw(Era.BOSS, 0, 200, 0).to_pandas().assign(**change))
    assert text.count("<svg") == 6
    assert ("Synthetic data." in text) is (change.get("release") != "DR17")


def test_a_source_is_sampled_whatever_its_size(
    monkeypatch: pytest.MonkeyPatch, store: ObjectStore
) -> None:
    monkeypatch.setattr(exploration, "MAX_ROWS", 500)
    found = sample(open_source("simulated:?rows=9000", store))
    assert found.rows_in == 9_000
    assert 200 < len(found.rows) <= 500
    # Every batch has the same chance: none of the eras is lost.
    assert found.rows["plate"].floordiv(30_000).nunique() == 3


def test_unfit_rows_are_counted(tmp_path: Path, store: ObjectStore) -> None:
    rows = draw(Era.BOSS, 0, 50, 0).to_pandas()
    rows.assign(u=rows["u"].mask(rows.index < 5, 99)).to_csv(tmp_path / "a.csv", index=False)
    found = sample(open_source(str(tmp_path / "a.csv"), store))
    assert (found.rows_in, found.rejected, len(found.rows)) == (50, 5, 45)
    rows.assign(u=99).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(CatalogError, match="none of its 50 rows is fit"):
        sample(open_source(str(tmp_path / "b.csv"), store))
