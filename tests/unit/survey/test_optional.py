"""Which values of an optional input are measurements."""

import numpy as np
import pytest

from skyclass.survey.observation import OPTIONAL_COLUMNS, RANGES
from skyclass.survey.optional import PLACEHOLDERS, find_discarded


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("psf_u", 18.2, "valid"),
        ("psf_u", 0.0, "not measured"),
        ("psf_u", 4.9, "invalid"),
        ("psf_u", np.inf, "invalid"),
        ("psf_u", 3631.0, "invalid"),  # a flux
        ("extinction_r", 0.0, "valid"),
        ("extinction_r", -0.1, "invalid"),
        ("err_g", 0.02, "valid"),
        ("err_g", 0.0, "not measured"),
        ("err_g", -1.0, "invalid"),
        ("type", 3.0, "valid"),
        ("type", 6.0, "valid"),
        ("type", 0.0, "not measured"),
        ("type", 5.0, "invalid"),
        ("w1", 15.1, "valid"),
        ("w1", -3.0, "invalid"),
        ("w2", np.nan, "valid"),
    ],
)
def test_value_is_of_one_kind(name: str, value: float, kind: str) -> None:
    not_measured, invalid = find_discarded(name, np.array([value]))
    found = "not measured" if not_measured[0] else "invalid" if invalid[0] else "valid"
    assert found == kind


@pytest.mark.parametrize("name", OPTIONAL_COLUMNS)
def test_placeholders_are_not_measured(name: str) -> None:
    values = np.array([value for value in PLACEHOLDERS if value or name != "extinction_r"])
    assert find_discarded(name, values).not_measured.all()


@pytest.mark.parametrize("name", OPTIONAL_COLUMNS)
def test_limits_of_the_range_are_valid(name: str) -> None:
    not_measured, invalid = find_discarded(name, np.array(RANGES[name]))
    assert not (not_measured | invalid).any()
