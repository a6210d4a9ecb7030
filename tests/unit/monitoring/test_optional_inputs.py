"""Drift of the inputs that a row may lack, of their presence, and of the rows out of the domain."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from skyclass.monitoring import report
from skyclass.monitoring.accounting import Accounting
from skyclass.monitoring.drift_job import make_verdict
from skyclass.monitoring.drift_policy import (
    DRIFT_COLUMNS,
    OUT_OF_DOMAIN,
    PREDICTED,
    PolicyResult,
    evaluate_window,
    make_drift_frame,
)
from skyclass.monitoring.verdict import Verdict
from skyclass.monitoring.windows import Window, read_window
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.dust import DustMap
from skyclass.survey.features import FEATURES, GROUP_FEATURES, InputGroup, Mode
from skyclass.survey.observation import CLASSES, Era
from tests.support.monitoring import (
    END,
    START,
    draw_observations,
    make_log_rows,
    write_log_rows,
)
from tests.support.releases import draft

MODE = Mode.PHOTOMETRIC
NAMES = (
    *FEATURES[MODE],
    *GROUP_FEATURES[InputGroup.EXTINCTION],
    *GROUP_FEATURES[InputGroup.TYPE],
    *GROUP_FEATURES[InputGroup.WISE],
)
DUST_MAP = DustMap(np.full(12 * 16**2, 0.05, dtype=np.float32))
"""A map with the same dust everywhere: the extinction in r is 0.115 mag."""
ROWS = 1_000


def make_rows(seed: int, **columns: Any) -> pd.DataFrame:
    """Return predicted rows with type, WISE magnitudes (in two rows of three) and position."""
    rng = np.random.default_rng(seed)
    size = ROWS
    rows = pd.DataFrame({name: rng.normal(19, 1, size) for name in "ugriz"})
    rows["predicted"] = rng.choice(CLASSES, size)
    rows["type"] = rng.choice([3.0, 6.0], size)
    rows["w1"], rows["w2"] = rng.normal(16, 1, (2, size))
    rows.loc[::3, ["w1", "w2"]] = np.nan
    rows["alpha"], rows["delta"] = 150.0, 2.0
    rows["out_of_domain"] = (rng.random(size) < 0.005).astype(object)
    return rows.assign(**columns)


def make_frame(rows: pd.DataFrame) -> pd.DataFrame:
    return make_drift_frame(rows, MODE, NAMES, DUST_MAP)


def evaluate(rows: pd.DataFrame, reference: pd.DataFrame | None = None) -> PolicyResult:
    accounting = Accounting(rows_in=len(rows), rows_used=len(rows))
    return evaluate_window(
        make_frame(make_rows(0) if reference is None else reference), make_frame(rows), accounting
    )


def test_frame_has_the_columns_of_the_groups_that_the_release_uses() -> None:
    assert list(make_frame(make_rows(0))) == [
        *DRIFT_COLUMNS[MODE],
        *("extinction_r", "type", "r-w1", "w1-w2"),
        OUT_OF_DOMAIN,
        PREDICTED,
    ]


def test_rows_of_the_same_distribution_do_not_drift() -> None:
    found = evaluate(make_rows(1))
    assert found.verdict is Verdict.NO_DRIFT
    assert {"type", "r-w1", OUT_OF_DOMAIN} <= set(found.columns)


def test_shift_of_an_optional_magnitude_is_drift() -> None:
    rows = make_rows(1)
    found = evaluate(rows.assign(w1=rows["w1"] + 0.7))
    assert found.columns["w1-w2"].drifted


@pytest.mark.parametrize("share", [0.1, 1])
def test_rows_without_a_group_are_no_drift(share: float) -> None:
    rows = make_rows(1)
    rows.loc[rows.index < share * len(rows), ["alpha", "delta", "w1", "w2"]] = np.nan
    found = evaluate(rows)
    assert found.verdict is Verdict.NO_DRIFT
    assert ("r-w1" in found.columns) == (share < 1)


def test_extinction_of_the_map_does_not_differ_from_that_of_the_survey() -> None:
    reference = make_rows(0, extinction_r=np.float32(0.115))
    found = evaluate(make_rows(1), reference)
    assert found.columns["extinction_r"].score < 0.01


@pytest.mark.parametrize(("rate", "drifted"), [(0.005, False), (0.015, False), (0.05, True)])
def test_rows_out_of_the_domain_are_drift(rate: float, drifted: bool) -> None:
    outside = (np.arange(ROWS) < rate * ROWS).astype(object)
    assert evaluate(make_rows(1, out_of_domain=outside)).columns[OUT_OF_DOMAIN].drifted == drifted


def test_release_without_a_domain_has_no_column_for_it() -> None:
    reference = make_rows(0, out_of_domain=None)
    assert OUT_OF_DOMAIN not in evaluate(make_rows(1), reference).columns
    assert OUT_OF_DOMAIN not in evaluate(make_rows(1, out_of_domain=None)).columns


def test_verdict_has_the_share_out_of_the_domain() -> None:
    rows = make_rows(1, out_of_domain=(np.arange(ROWS) < 20).astype(object))
    frame = make_frame(rows)
    window = Window(MODE, "a" * 64, START, END)
    accounting, training_set = Accounting(rows_in=ROWS, rows_used=ROWS), draft(MODE).training_set
    verdict = make_verdict(window, evaluate(rows), accounting, frame, frame, training_set)
    assert verdict.out_of_domain == 0.02


@pytest.mark.slow
def test_report_shows_columns_with_missing_values() -> None:
    reference, current = make_frame(make_rows(0)), make_frame(make_rows(1, w1=np.nan, w2=np.nan))
    current.index = pd.date_range(START.replace(tzinfo=None), periods=ROWS, freq="1min")
    accounting = Accounting(rows_in=ROWS, rows_used=ROWS)
    outcome = evaluate_window(reference, current, accounting)
    window = Window(MODE, "a" * 64, START, END)
    training_set = draft(MODE).training_set
    verdict = make_verdict(window, outcome, accounting, reference, current, training_set)
    html = report.render(verdict, reference, current).html.decode()
    for name in (OUT_OF_DOMAIN, "type"):
        assert name in html


def test_row_may_lack_one_band_that_the_release_can_do_without(store: ObjectStore) -> None:
    rows = make_log_rows(draw_observations(Era.LEGACY, 40, seed=0), "a" * 64, MODE)
    rows.loc[:9, "u"] = np.nan
    rows.loc[5:14, "z"] = np.nan
    write_log_rows(store, rows)
    counts = [
        read_window(store, Window(MODE, "a" * 64, START, END, bands)).accounting
        for bands in ((), ("u",), ("u", "z"))
    ]
    assert [each.rejected for each in counts] == [15, 10, 5]
    assert counts[1].reasons == {"u is missing or not finite": 5, "z is missing or not finite": 10}
