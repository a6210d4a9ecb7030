"""Observations of the live survey database, SkyServer, paged by `specobjid`.

Rows are asked for in the order of their `specobjid`, each page after the last id of the one before:
an offset would be counted anew by the server each time. Only an empty page is the end, so an answer
that the server has cut short at a row cap of its own costs one more question and never a row.

Source: SDSS DR17 data model, tables SpecObj, PhotoObj and PlateX.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl

import pandas as pd

from skyclass.errors import CatalogError
from skyclass.sources.base import Batch
from skyclass.sources.skyserver.client import SkyServer
from skyclass.sources.skyserver.responses import read_table
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.observation import ROW_COLUMNS

SCHEME = "skyserver:"
PAGE_ROWS = 20_000
"""Rows that are asked for at once; the server's own cap is 500,000."""

LAST_RELEASE = 18
"""From DR19 on, spectra are no longer identified by plate and fibre."""

_PLATE_SHIFT = 50
_POSITION_SHIFT = 10
"""The last bits of a `specobjid` are zero. Without them it fits what Delta keeps as a watermark."""
_MJD_RANGE = (50_000, 99_999)

_SPECTRA = """
SELECT TOP {rows} s.specobjid, s.plate, s.mjd, s.fiberid AS fiber_id, p.ra AS alpha, p.dec AS delta,
 p.u, p.g, p.r, p.i, p.z, s.z AS redshift, s.class
FROM SpecObj AS s JOIN PhotoObj AS p ON p.objid = s.bestobjid
WHERE s.specobjid BETWEEN {first} AND {last}{nights} AND s.zWarning = 0
ORDER BY s.specobjid
"""
_PLATES = """
SELECT DISTINCT TOP {rows} plate FROM PlateX
WHERE plate > {after} AND mjd BETWEEN {start} AND {end}
ORDER BY plate
"""
_LAST_ID = 2**64 - 1


@dataclass(frozen=True)
class SkyServerSource:
    """Spectra with good redshifts and their photometry, as one data release has them.

    Attributes:
        release: The data release, like DR17.
        nights: First and last night (MJD) that are wanted, both included; none for all.
        client: Client of SkyServer.
    """

    release: str
    nights: tuple[int, int] | None
    client: SkyServer

    @classmethod
    def from_uri(cls, uri: str, store: ObjectStore) -> "SkyServerSource":
        """Read `skyserver:?release=dr17&mjd=57000-57100`; without `mjd` all nights are taken.

        Raises:
            CatalogError: A parameter is unknown or has no such value.
        """
        query = uri.removeprefix(SCHEME)
        given = dict(parse_qsl(query.removeprefix("?"), keep_blank_values=True))
        unknown = sorted(set(given) - {"release", "mjd"})
        if unknown or (query and not query.startswith("?")):
            raise CatalogError(
                f"{uri}: unknown part {unknown[0] if unknown else query}: "
                "write skyserver:?release=dr17&mjd=57000-57100"
            )
        release = re.fullmatch(r"dr(\d{1,2})", given.get("release", "dr17"), re.IGNORECASE)
        if release is None or not 8 <= int(release[1]) <= LAST_RELEASE:
            raise CatalogError(
                f"{uri}: release must be one of dr8 to dr{LAST_RELEASE}: later ones do not "
                "identify a spectrum by plate, night and fibre"
            )
        nights = re.fullmatch(r"(\d{5})-(\d{5})", given.get("mjd", "{}-{}".format(*_MJD_RANGE)))
        if nights is None or not _MJD_RANGE[0] <= int(nights[1]) <= int(nights[2]):
            raise CatalogError(f"{uri}: mjd is a first and a last night, like mjd=57000-57100")
        window = (int(nights[1]), int(nights[2])) if "mjd" in given else None
        return cls(f"DR{int(release[1])}", window, SkyServer(store))

    @property
    def name(self) -> str:
        """The URI that asks for the same rows again."""
        window = "&mjd={}-{}".format(*self.nights) if self.nights else ""
        return f"{SCHEME}?release={self.release.lower()}{window}"

    @property
    def watermark_id(self) -> str:
        """The URI: a data release does not change."""
        return self.name

    def read_batches(self, after: int) -> Iterator[Batch]:
        """Read the pages that follow position `after`, which is a `specobjid` without its end.

        Raises:
            CatalogError: The server does not give what it was asked for.
        """
        begin = (after + 1) << _POSITION_SHIFT if after else 1
        for first, last in self._ranges(begin):
            while first <= last:
                rows = self._page(first, last)
                if rows.empty:
                    break
                position = int(rows["specobjid"].iloc[-1]) >> _POSITION_SHIFT
                first = (position + 1) << _POSITION_SHIFT
                yield Batch(rows.assign(release=self.release)[list(ROW_COLUMNS)], position)

    def _page(self, first: int, last: int) -> pd.DataFrame:
        nights = " AND s.mjd BETWEEN {} AND {}".format(*self.nights) if self.nights else ""
        rows = self._answer(
            _SPECTRA.format(rows=PAGE_ROWS, first=first, last=last, nights=nights),
            ["specobjid", *ROW_COLUMNS[:-1]],
        )
        self._check_order([int(text) for text in rows["specobjid"]], first)
        return rows

    def _check_order(self, ids: list[int], first: int) -> None:
        if ids != sorted(set(ids)) or (ids and ids[0] < first):
            raise CatalogError(
                f"{self.name}: rows do not come in the order that was asked for: check "
                "SKYCLASS_SKYSERVER_URL"
            )

    def _ranges(self, begin: int) -> Iterator[tuple[int, int]]:
        """The runs of ids to ask for: all at once, or those of the plates observed in the nights.

        `specobjid` begins with the plate and the server keeps SpecObj in its order, so a few runs
        of plates are found at once where a condition on the night alone would read it all.
        """
        if self.nights is None:
            yield begin, _LAST_ID
            return
        run: list[int] = []
        for plate in self._plates(begin >> _PLATE_SHIFT):
            if run and plate != run[-1] + 1:
                yield _ids(run, begin)
                run = []
            run.append(plate)
        if run:
            yield _ids(run, begin)

    def _plates(self, begin: int) -> Iterator[int]:
        assert self.nights is not None
        after = begin - 1
        while True:
            start, end = self.nights
            query = _PLATES.format(rows=PAGE_ROWS, after=after, start=start, end=end)
            plates = [int(plate) for plate in self._answer(query, ["plate"])["plate"]]
            if not plates:
                return
            self._check_order(plates, after + 1)
            yield from plates
            after = plates[-1]

    def _answer(self, query: str, columns: list[str]) -> pd.DataFrame:
        """The wanted columns of an answer, as text."""
        rows = read_table(self.client.ask(self.release, " ".join(query.split())))
        missing = [name for name in columns if name not in rows]
        if missing and len(rows):
            raise CatalogError(
                f"{self.name}: the answer has no column {missing[0]} (it has "
                f"{', '.join(rows.columns[:8])}): check SKYCLASS_SKYSERVER_URL"
            )
        return rows.reindex(columns=columns)


def _ids(plates: list[int], begin: int) -> tuple[int, int]:
    first, last = plates[0] << _PLATE_SHIFT, ((plates[-1] + 1) << _PLATE_SHIFT) - 1
    return max(first, begin), last
