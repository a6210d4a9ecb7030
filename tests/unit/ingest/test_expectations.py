"""Violated expectations are reported with the column, the limit, the share and three rows."""

import dataclasses
import re
from itertools import permutations
from pathlib import Path

import pandas as pd
import pytest

from skyclass.errors import ValidationError
from skyclass.ingest.expectations import expect_few_rejected, expect_rows
from skyclass.ingest.limits import Expectations, load_expectations
from skyclass.sources.simulated import draw
from skyclass.survey.features import INPUTS, InputGroup, Mode
from skyclass.survey.observation import CLASSES, ROW_COLUMNS, Era, find_eras
from tests.support.monitoring import read_observations

EXAMPLE = r"plate=\d+ mjd=\d+ fiber_id=\d+"
COPIED = "u, g, r, i, z, redshift: the same measurements under another key"
LIMITS = load_expectations()


@pytest.fixture
def rows() -> pd.DataFrame:
    """Rows that meet all expectations."""
    return draw(Era.BOSS, 0, 1_000, 0).to_pandas()


@pytest.fixture(scope="module")
def observations(real_rows: Path) -> pd.DataFrame:
    """20,000 real rows."""
    return read_observations(real_rows)[list(ROW_COLUMNS)].reset_index(drop=True)


def evaluate(
    rows: pd.DataFrame,
    mode: Mode = Mode.SPECTROSCOPIC,
    earlier: pd.DataFrame | None = None,
    limits: Expectations = LIMITS,
) -> str:
    """Return the error message; empty if the rows meet all expectations."""
    try:
        expect_rows(rows, INPUTS[mode], earlier, limits)
    except ValidationError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def wide_rows() -> pd.DataFrame:
    """Rows with optional inputs."""
    return draw(Era.BOSS, 0, 1_000, 0, groups=(InputGroup.PSF, InputGroup.WISE)).to_pandas()


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ({"w1": 0.6}, r"w1: measured, \d\d\.\d% when the last release was trained, in \d\d\.\d%"),
        ({"psf_u": 1, "psf_r": 0.7}, r"psf_u: measured, 100\.0% when .* in 0\.0% of the rows "),
        ({"w1": 0.3, "psf_u": 0.3}, ""),
        ({}, ""),
    ],
    ids=str,
)
def test_optional_inputs_that_disappear_are_reported(
    lost: dict[str, float], message: str, wide_rows: pd.DataFrame
) -> None:
    rows = wide_rows.copy()
    for name, share in lost.items():
        rows.loc[rows.index % 1_000 < 1_000 * share, name] = float("nan")
    found = evaluate(rows, Mode.PHOTOMETRIC, wide_rows)
    assert re.search(message, found) if message else found == ""
    assert found.count(" | ") == 0


def test_optional_inputs_that_the_last_release_did_not_use_may_disappear(
    rows: pd.DataFrame, wide_rows: pd.DataFrame
) -> None:
    assert evaluate(rows.assign(w1=float("nan")), earlier=wide_rows[["mjd"]]) == ""
    assert evaluate(wide_rows, earlier=wide_rows.assign(w1=float("nan"))) == ""


@pytest.mark.parametrize("era", Era)
def test_every_era_meets_the_expectations(era: Era) -> None:
    assert evaluate(draw(era, 0, 1_000, 0).to_pandas()) == ""


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        pytest.param(
            lambda rows: rows.assign(u=rows["u"].where(rows.index % 10 > 0)),
            r"u: not measured in 10\.0% of the rows \(at most 5\.0%\), "
            rf"for example ({EXAMPLE} u=nan(; )?){{3}}:",
            id="sentinels",
        ),
        pytest.param(
            lambda rows: rows.assign(g=rows["g"].mask(rows.index < 2, 99.0)),
            r"g: outside 5 to 35 in 0\.2% of the rows \(none allowed\), "
            rf"for example ({EXAMPLE} g=99(; )?){{2}}:",
            id="range",
        ),
        pytest.param(
            lambda rows: rows.assign(plate=rows["plate"].mask(rows.index == 7, 0)),
            r"plate: not a positive 32-bit number in 0\.1% .* plate=0 mjd=",
            id="key",
        ),
        pytest.param(
            lambda rows: rows[rows["class"] != "STAR"].reset_index(drop=True),
            r"class: STAR in 0\.0% of the rows \(2% to 70% expected\)",
            id="missing class",
        ),
        pytest.param(
            lambda rows: rows.assign(**{"class": "QSO"}),
            r"class: QSO in 100\.0% of the rows \(1% to 70% expected\), "
            rf"for example ({EXAMPLE} class=QSO(; )?){{3}}",
            id="one class",
        ),
        pytest.param(
            lambda rows: rows.assign(**{"class": None}),
            r"class: no label in 100\.0% of the rows \(at most 90\.0%\)",
            id="no labels",
        ),
        pytest.param(
            lambda rows: pd.concat([rows, rows.assign(plate=1)], ignore_index=True),
            rf"{COPIED} in 50\.0% .* ({EXAMPLE} r=[\d.]+(; )?){{3}}",
            id="copied rows",
        ),
    ],
)  # fmt: skip
def test_a_violation_is_one_line_with_three_rows(change, pattern: str, rows: pd.DataFrame) -> None:
    message = evaluate(change(rows))
    assert re.search(pattern, message), message
    assert message.startswith("validation failed: ")
    assert "\n" not in message


def test_all_violations_are_reported(rows: pd.DataFrame) -> None:
    message = evaluate(rows.assign(u=None, redshift=None).astype({"u": float, "redshift": float}))
    assert message.count("not measured in 100.0%") == 2


def test_only_the_inputs_of_the_mode_are_checked(rows: pd.DataFrame) -> None:
    without_redshift = rows.assign(redshift=float("nan"))
    assert evaluate(without_redshift, Mode.PHOTOMETRIC) == ""
    assert "redshift: not measured" in evaluate(without_redshift)


PERMUTATIONS = [labels for labels in permutations(CLASSES) if labels != CLASSES]


@pytest.mark.parametrize("labels", PERMUTATIONS, ids="-".join)
@pytest.mark.parametrize("era", Era)
def test_exchanged_labels_contradict_the_redshifts(era: Era, labels: tuple[str, ...]) -> None:
    simulated = draw(era, 0, 3_000, 0).to_pandas()
    assert "redshift: outside" in evaluate(exchange_labels(simulated, labels))


@pytest.mark.parametrize("labels", PERMUTATIONS, ids="-".join)
def test_exchanged_labels_of_real_rows_contradict_their_redshifts(
    labels: tuple[str, ...], observations: pd.DataFrame
) -> None:
    message = evaluate(exchange_labels(observations, labels))
    assert re.search(r"redshift: outside .* of the rows of class (GALAXY|QSO|STAR) ", message)


def test_real_labels_agree_with_the_redshifts(observations: pd.DataFrame) -> None:
    for era in Era:
        assert evaluate(observations[find_eras(observations["mjd"]) == era]) == ""


def exchange_labels(rows: pd.DataFrame, labels: tuple[str, ...]) -> pd.DataFrame:
    return rows.assign(**{"class": rows["class"].map(dict(zip(CLASSES, labels, strict=True)))})


def test_older_eras_than_before_are_a_violation_and_newer_ones_are_not() -> None:
    legacy, eboss = (draw(era, 0, 1_000, 0).to_pandas() for era in (Era.LEGACY, Era.EBOSS))
    message = evaluate(legacy, earlier=eboss[["mjd"]])
    expected = "mjd: era legacy or before, 0.0% when the last release was trained, in 100.0%"
    assert expected in message
    assert re.search(rf"\(at most 50\.0% more\), for example ({EXAMPLE}(; )?){{3}}:", message)
    assert evaluate(eboss, earlier=legacy[["mjd"]]) == ""
    assert evaluate(pd.concat([legacy, eboss], ignore_index=True), earlier=eboss[["mjd"]]) == ""


def test_the_limits_come_from_the_file(rows: pd.DataFrame) -> None:
    assert set(LIMITS.classes) == set(CLASSES)
    assert set(LIMITS.not_measured) == set(INPUTS[Mode.SPECTROSCOPIC])
    strict = dataclasses.replace(LIMITS, classes={**LIMITS.classes, "QSO": (0.9, 1.0)})
    assert "class: QSO" in evaluate(rows, limits=strict)


def test_too_many_rejected_rows_are_reported_with_their_most_frequent_reason() -> None:
    reasons = {"u: outside 5 to 35; class: not one of them": 8, "2 fields, expected 13": 2}
    examples = {reason: ("plate=1", "plate=2") for reason in reasons}
    expect_few_rejected(200, reasons, examples, 0.05)
    expect_few_rejected(20, reasons, examples, 0.05)  # too few rows for a share
    with pytest.raises(ValidationError) as error:
        expect_few_rejected(100, reasons, examples, 0.05)
    assert str(error.value) == (
        "validation failed: 10 of 100 rows were rejected, most of them for u: outside 5 to 35 in "
        "8.0% of the rows (at most 5.0% rejected), for example plate=1; plate=2: the valid rows "
        "were ingested; correct the source, or change the limits (SKYCLASS_EXPECTATIONS_FILE, or "
        "`expectations` of the chart)"
    )
