"""Each night belongs to one era."""

import pandas as pd
import pytest

from skyclass.survey.observation import Era, find_eras


@pytest.mark.parametrize(
    ("mjd", "era"),
    [
        (1, Era.LEGACY),
        (51_608, Era.LEGACY),
        (55_008, Era.LEGACY),  # the last night of SDSS-II
        (55_099, Era.LEGACY),
        (55_100, Era.BOSS),
        (55_176, Era.BOSS),  # its first plate
        (56_811, Era.BOSS),
        (56_849, Era.BOSS),
        (56_850, Era.EBOSS),
        (56_898, Era.EBOSS),
        (58_932, Era.EBOSS),
        (99_999, Era.EBOSS),
    ],
)
def test_a_night_belongs_to_its_era(mjd: int, era: Era) -> None:
    assert list(find_eras(pd.Series([mjd]))) == [era]


def test_eras_come_in_the_order_of_their_nights() -> None:
    assert list(find_eras(pd.Series([58_000, 52_000, 56_000]))) == ["eboss", "legacy", "boss"]
