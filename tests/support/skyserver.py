"""Simulated survey database that serves the queries of the SkyServer source."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pandas as pd

from tests.support.rows import ROW
from tests.support.web import Response

HEADER = "#Table1\n"


def specobjid(plate: int, fibre: int, mjd: int, run2d: int = 103) -> int:
    """The id of a spectrum, as the survey makes it."""
    return plate << 50 | fibre << 38 | (mjd - 50_000) << 24 | run2d << 10


def spectra(*keys: tuple[int, int, int]) -> pd.DataFrame:
    """Spectra with the given plates, nights and fibres, in no order."""
    rows = [
        {
            **{name: value for name, value in ROW.items() if name != "release"},
            **{"specobjid": specobjid(plate, fibre, mjd), "plate": plate, "mjd": mjd},
            "fiber_id": fibre,
        }
        for plate, mjd, fibre in keys
    ]
    return pd.DataFrame(rows)


@dataclass
class Survey:
    """The database.

    Attributes:
        rows: All spectra.
        cap: How many rows an answer has at most, whatever was asked for.
    """

    rows: pd.DataFrame
    cap: int = 500_000

    def __call__(self, path: str) -> Response:
        """Return the rows of a query."""
        (query,) = parse_qs(urlsplit(path).query)["cmd"]
        found = self._plates(query) if "PlateX" in query else self._spectra(query)
        top = re.search(r"TOP (\d+)", query)
        assert top is not None
        rows = found.head(min(int(top[1]), self.cap))
        return Response((HEADER + rows.to_csv(index=False)).encode())

    def _spectra(self, query: str) -> pd.DataFrame:
        asked = re.search(r"specobjid BETWEEN (\d+) AND (\d+)", query)
        nights = re.search(r"s\.mjd BETWEEN (\d+) AND (\d+)", query)
        assert asked is not None
        assert "ORDER BY s.specobjid" in query
        first, last = int(asked[1]), int(asked[2])
        chosen = [first <= each <= last for each in self.rows["specobjid"]]
        rows = self.rows[chosen].sort_values("specobjid")
        if nights:
            rows = rows[rows["mjd"].between(int(nights[1]), int(nights[2]))]
        return rows

    def _plates(self, query: str) -> pd.DataFrame:
        asked = re.search(r"plate > (-?\d+) AND mjd BETWEEN (\d+) AND (\d+)", query)
        assert asked is not None
        after, start, end = (int(text) for text in asked.groups())
        rows = self.rows[(self.rows["plate"] > after) & self.rows["mjd"].between(start, end)]
        return rows[["plate"]].drop_duplicates().sort_values("plate")
