"""The simulated survey: deterministic, resumable, and with the drift of the real survey."""

import pandas as pd
import pyarrow as pa
import pytest

from skyclass.errors import CatalogError
from skyclass.ingest.validation import validate_rows
from skyclass.sources import SimulatedSource, Source
from skyclass.sources.simulated import RELEASE, is_synthetic
from skyclass.survey.features import INPUTS, InputGroup, Mode
from skyclass.survey.observation import (
    CLASSES,
    KEY,
    OPTIONAL_COLUMNS,
    ROW_COLUMNS,
    Era,
    find_eras,
)

SURVEY = {
    Era.LEGACY: (51_608, 55_008, (0.597, 0.063, 0.341)),
    Era.BOSS: (55_176, 56_811, (0.680, 0.166, 0.154)),
    Era.EBOSS: (56_898, 58_932, (0.450, 0.404, 0.146)),
}
"""First and last night, and the shares of GALAXY, QSO and STAR, of each era in DR17."""
REDSHIFT = {"GALAXY": (-0.007, 2), "QSO": (0.01, 7.02), "STAR": (-0.0042, 0.0042)}
"""Redshift range of each class."""


def open_simulated(parameters: str) -> Source:
    return SimulatedSource.from_uri(f"simulated:?{parameters}")


def read_rows(source: Source, after: int = 0) -> pd.DataFrame:
    batches = [batch.rows.to_pandas() for batch in source.read_batches(after)]
    return pd.concat(batches, ignore_index=True)


def count_valid(rows: pd.DataFrame) -> int:
    return validate_rows(pa.Table.from_pandas(rows, preserve_index=False)).valid.num_rows


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return read_rows(open_simulated("rows=30000"))


def test_equal_uris_return_equal_rows() -> None:
    first, second = (read_rows(open_simulated("rows=500&seed=7")) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_another_seed_returns_other_observations_with_other_keys() -> None:
    first, second = (read_rows(open_simulated(f"rows=500&seed={seed}")) for seed in (1, 2))
    assert first.merge(second, on=list(KEY)).empty
    assert not set(first["r"]) & set(second["r"])


def test_the_values_of_a_key_do_not_depend_on_the_number_of_rows() -> None:
    few, many = read_rows(open_simulated("rows=300")), read_rows(open_simulated("rows=60000"))
    both = few.merge(many, on=list(KEY), suffixes=("", "_again"))
    assert len(both) == len(few)
    assert (both["u"] == both["u_again"]).all()
    assert (both["class"] == both["class_again"]).all()


def test_each_day_has_objects_of_its_own() -> None:
    days = [read_rows(open_simulated(f"day=2026-01-{day}&rows=700")) for day in (30, 31)]
    assert [set(rows["mjd"]) for rows in days] == [{61_070}, {61_071}]
    assert days[0].merge(days[1], on=["u", "r"]).empty
    assert all(count_valid(rows) == 700 for rows in days)
    assert read_rows(open_simulated("day=2026-01-31&rows=700")).equals(days[1])


def test_today_has_the_same_watermark_as_its_date() -> None:
    today = open_simulated("day=today").name.rpartition("=")[2]
    assert open_simulated(f"day={today}").watermark_id == open_simulated("day=today").watermark_id


def test_reading_resumes_after_any_position() -> None:
    source = open_simulated("rows=100")
    expected = read_rows(source)
    for after in (1, 33, 34, 35, 67, 99):
        pd.testing.assert_frame_equal(
            read_rows(source, after), expected[after:].reset_index(drop=True)
        )
    assert list(source.read_batches(100)) == []


def test_the_last_position_is_the_number_of_rows() -> None:
    assert [batch.position for batch in open_simulated("rows=100").read_batches(0)] == [34, 67, 100]


@pytest.mark.parametrize("era", Era)
def test_an_era_has_the_nights_and_class_shares_of_the_survey(era: Era, rows: pd.DataFrame) -> None:
    of_era = rows[find_eras(rows["mjd"]) == era]
    first, last, shares = SURVEY[era]
    assert len(of_era) == 10_000
    assert of_era["mjd"].between(first, last).all()
    counts = of_era["class"].value_counts(normalize=True)
    assert [counts[name] for name in CLASSES] == pytest.approx(shares, abs=0.02)


def test_a_plate_is_observed_in_one_night(rows: pd.DataFrame) -> None:
    assert (rows.groupby("plate")["mjd"].nunique() == 1).all()


@pytest.mark.parametrize("name", CLASSES)
def test_redshifts_are_in_the_range_of_their_class(name: str, rows: pd.DataFrame) -> None:
    redshift = rows.loc[rows["class"] == name, "redshift"]
    assert redshift.between(*REDSHIFT[name]).all()
    assert redshift.nunique() > 100


def test_every_row_is_valid(rows: pd.DataFrame) -> None:
    assert count_valid(rows) == len(rows)


def test_no_key_is_duplicated_across_batches() -> None:
    source = open_simulated("rows=400000&era=boss")
    keys = pd.concat([batch.rows.select(KEY).to_pandas() for batch in source.read_batches(0)])
    assert len(keys) == 400_000
    assert not keys.duplicated().any()


def test_the_release_marks_rows_as_synthetic() -> None:
    assert set(read_rows(open_simulated("rows=30"))["release"]) == {RELEASE} == {"SIMULATED"}
    assert is_synthetic(RELEASE)
    assert not is_synthetic("DR17")


def test_the_name_of_a_source_is_its_uri() -> None:
    source = open_simulated("era=boss,eboss&rows=20")
    assert source.name == "simulated:?rows=20&era=boss,eboss&seed=0"
    pd.testing.assert_frame_equal(
        read_rows(source), read_rows(SimulatedSource.from_uri(source.name))
    )


def test_rows_without_groups_are_those_of_earlier_versions(rows: pd.DataFrame) -> None:
    """Training sets refer to them by their URI."""
    digest = pd.util.hash_pandas_object(rows[["plate", *INPUTS[Mode.SPECTROSCOPIC]]], index=False)
    assert int(digest.sum() % 2**32) == 2574467984


@pytest.fixture(scope="module")
def wide_rows() -> pd.DataFrame:
    return read_rows(open_simulated(f"rows=15000&groups={','.join(InputGroup)}"))


def test_groups_do_not_change_the_other_values(rows: pd.DataFrame, wide_rows: pd.DataFrame) -> None:
    both = wide_rows.merge(rows, on=list(ROW_COLUMNS))
    assert len(both) == len(wide_rows)
    alone = read_rows(open_simulated("rows=15000&groups=wise"))
    pd.testing.assert_frame_equal(alone, wide_rows[[*ROW_COLUMNS, "w1", "w2"]])


def test_optional_inputs_of_simulated_rows_are_valid(wide_rows: pd.DataFrame) -> None:
    result = validate_rows(pa.Table.from_pandas(wide_rows, preserve_index=False))
    assert result.discarded == {}
    assert set(result.valid.column_names) == {*ROW_COLUMNS, *OPTIONAL_COLUMNS}


def test_galaxies_are_extended_and_quasars_red_in_wise(wide_rows: pd.DataFrame) -> None:
    by_class = wide_rows.groupby("class")
    extended = by_class["type"].agg(lambda values: (values == 3).mean())
    assert extended["GALAXY"] > 0.95
    assert extended["STAR"] < 0.15
    colour = (wide_rows["w1"] - wide_rows["w2"]).groupby(wide_rows["class"]).median()
    assert colour["QSO"] - 0.5 > colour["GALAXY"] > colour["STAR"]


def test_faint_objects_have_large_errors_and_no_wise_magnitudes(wide_rows: pd.DataFrame) -> None:
    faint = wide_rows[wide_rows["r"] > 21.5]
    bright = wide_rows[wide_rows["r"] < 17]
    assert faint["err_r"].median() > 5 * bright["err_r"].median()
    assert faint["w1"].isna().mean() > 0.3
    assert bright["w1"].notna().all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("groups=radio", "groups is one or more of extinction, psf, type, errors, wise"),
        ("rows=0", "rows must be between 1 and"),
        ("rows=-5", "rows must be between 1 and"),
        ("rows=99999999999", "rows must be between 1 and"),
        ("rows=many", "rows and seed are whole numbers"),
        ("rows=1.5", "rows and seed are whole numbers"),
        ("rows=", "rows and seed are whole numbers"),
        ("seed=-1", "seed must be between 0 and"),
        ("seed=20001", "seed must be between 0 and"),
        ("era=sdss1", "era is one or more of legacy, boss, eboss"),
        ("era=", "era is one or more of legacy, boss, eboss"),
        ("era=boss,boss", "duplicate era"),
        ("day=2020-12-31", "day must be 2021-01-01 or later"),
        ("day=tomorrow", "day is today or a date like 2026-01-31"),
        ("colour=red", "unknown part colour"),
    ],
)
def test_a_malformed_uri_is_rejected_in_one_line(parameters: str, message: str) -> None:
    with pytest.raises(CatalogError, match=message) as error:
        open_simulated(parameters)
    assert str(error.value).startswith("simulated:?")
    assert "\n" not in str(error.value)


def test_a_uri_without_a_question_mark_is_rejected() -> None:
    with pytest.raises(CatalogError, match="unknown part rows=5: write simulated:"):
        SimulatedSource.from_uri("simulated:rows=5")
