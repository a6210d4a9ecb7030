"""A simulated survey database that responds to the queries of the SkyServer source."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pandas as pd

from tests.support.rows import OPTIONAL, ROW
from tests.support.web import Response

HEADER = "#Table1\n"


def make_specobjid(plate: int, fibre: int, mjd: int, run2d: int = 103) -> int:
    """Return the survey's id of a spectrum."""
    return plate << 50 | fibre << 38 | (mjd - 50_000) << 24 | run2d << 10


def make_spectra(*keys: tuple[int, int, int]) -> pd.DataFrame:
    """Return one spectrum for each plate, night and fibre, in the given order."""
    rows = [
        {
            **{name: value for name, value in ROW.items() if name != "release"},
            **OPTIONAL,
            **{"specobjid": make_specobjid(plate, fibre, mjd), "plate": plate, "mjd": mjd},
            "fiber_id": fibre,
        }
        for plate, mjd, fibre in keys
    ]
    return pd.DataFrame(rows)


@dataclass
class Survey:
    """The spectra of a survey; called with the path of a request, it returns the response.

    Attributes:
        rows: All spectra.
        max_rows: Row cap of a response, whatever the query requests.
    """

    rows: pd.DataFrame
    max_rows: int = 500_000

    def __call__(self, path: str) -> Response:
        """Return the rows of a query."""
        (query,) = parse_qs(urlsplit(path).query)["cmd"]
        found = self._find_plates(query) if "PlateX" in query else self._find_spectra(query)
        top = re.search(r"TOP (\d+)", query)
        assert top is not None
        rows = found.head(min(int(top[1]), self.max_rows))
        return Response((HEADER + rows.to_csv(index=False)).encode())

    def _find_spectra(self, query: str) -> pd.DataFrame:
        found = re.search(r"specobjid BETWEEN (\d+) AND (\d+)", query)
        nights = re.search(r"s\.mjd BETWEEN (\d+) AND (\d+)", query)
        assert found is not None
        assert "ORDER BY s.specobjid" in query
        assert ("w.w1_mag" in query) == ("LEFT JOIN wiseForcedTarget AS w ON" in query)
        selected = query.partition(" FROM")[0].partition("SELECT TOP ")[2].partition(" ")[2]
        columns = [re.split(r" AS |\.", each)[-1] for each in selected.split(", ")]
        first, last = int(found[1]), int(found[2])
        is_in_range = [first <= each <= last for each in self.rows["specobjid"]]
        rows = self.rows[is_in_range].sort_values("specobjid")
        if nights:
            rows = rows[rows["mjd"].between(int(nights[1]), int(nights[2]))]
        return rows.filter(columns)

    def _find_plates(self, query: str) -> pd.DataFrame:
        found = re.search(r"plate > (-?\d+) AND mjd BETWEEN (\d+) AND (\d+)", query)
        assert found is not None
        after, start, end = (int(text) for text in found.groups())
        rows = self.rows[(self.rows["plate"] > after) & self.rows["mjd"].between(start, end)]
        return rows[["plate"]].drop_duplicates().sort_values("plate")
