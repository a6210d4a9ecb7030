"""Observations from SkyServer, paged by `specobjid`.

Each page starts after the last id of the page before; with an offset, the server would count the
rows again for each page. Only an empty page ends a range, so a page that the server truncates at a
row cap of its own costs one more query and never a row.

Source: SDSS DR17 data model, tables SpecObj, PhotoObj, PlateX and wiseForcedTarget, which has one
row for each primary object at most (Lang, Hogg & Schlegel 2016).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl

import pyarrow as pa

from skyclass.errors import CatalogError
from skyclass.sources.base import Batch
from skyclass.sources.skyserver.client import SkyServerClient
from skyclass.sources.skyserver.responses import parse_table
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import MAGNITUDES
from skyclass.survey.observation import OBSERVATION_COLUMNS, ROW_COLUMNS

SCHEME = "skyserver:"
PAGE_ROWS = 20_000
"""Rows per query; the server's own cap is 500,000."""

LAST_DATA_RELEASE = 18
"""From DR19 on, spectra are not identified by plate and fibre."""
FIRST_DATA_RELEASE_WITH_WISE = 13
"""From it on, the database has the table wiseForcedTarget."""

_PLATE_SHIFT = 50
_POSITION_SHIFT = 10
"""The lowest bits of a `specobjid` are zero. Without them it fits Delta's signed watermark."""
_MJD_RANGE = (50_000, 99_999)
_MAX_ID = 2**64 - 1

_SPECTRA = """
SELECT TOP {rows} s.specobjid, s.plate, s.mjd, s.fiberid AS fiber_id, p.ra AS alpha, p.dec AS delta,
 p.u, p.g, p.r, p.i, p.z, s.z AS redshift, s.class, {optional}
FROM SpecObj AS s JOIN PhotoObj AS p ON p.objid = s.bestobjid{wise}
WHERE s.specobjid BETWEEN {first} AND {last}{nights} AND s.zWarning = 0
ORDER BY s.specobjid
"""
_OPTIONAL = {
    "extinction_r": "p.extinction_r",
    **{f"psf_{band}": f"p.psfMag_{band}" for band in MAGNITUDES},
    "type": "p.type",
    **{f"err_{band}": f"p.modelMagErr_{band}" for band in MAGNITUDES},
}
_WISE = {"w1": "w.w1_mag", "w2": "w.w2_mag"}
"""Columns of the optional inputs. The database has Vega magnitudes in these columns."""
_JOIN_WISE = " LEFT JOIN wiseForcedTarget AS w ON w.objid = p.objid AND w.has_wise_phot = 1"
_PLATES = """
SELECT DISTINCT TOP {rows} plate FROM PlateX
WHERE plate > {after} AND mjd BETWEEN {start} AND {end}
ORDER BY plate
"""


@dataclass(frozen=True)
class SkyServerSource:
    """Spectra with reliable redshifts and their photometry, from one data release.

    Attributes:
        data_release: Data release, such as DR17.
        nights: First and last night (MJD), both included; None for all nights.
        client: Client of SkyServer.
    """

    data_release: str
    nights: tuple[int, int] | None
    client: SkyServerClient

    @classmethod
    def from_uri(cls, uri: str, store: ObjectStore) -> "SkyServerSource":
        """Parse a URI such as `skyserver:?release=dr17&mjd=57000-57100`.

        Args:
            uri: The URI; without `mjd` it names all nights.
            store: Object store for cached responses; its settings hold SkyServer's URL.

        Raises:
            CatalogError: A parameter is unknown or its value is invalid.
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
        if release is None or not 8 <= int(release[1]) <= LAST_DATA_RELEASE:
            raise CatalogError(
                f"{uri}: release must be dr8 to dr{LAST_DATA_RELEASE}: later ones do not identify "
                "spectra by plate, night and fibre"
            )
        nights = re.fullmatch(r"(\d{5})-(\d{5})", given.get("mjd", "{}-{}".format(*_MJD_RANGE)))
        if nights is None or not _MJD_RANGE[0] <= int(nights[1]) <= int(nights[2]):
            raise CatalogError(f"{uri}: mjd must be a range of nights, such as mjd=57000-57100")
        window = (int(nights[1]), int(nights[2])) if "mjd" in given else None
        return cls(f"DR{int(release[1])}", window, SkyServerClient(store))

    @property
    def name(self) -> str:
        """URI of the source with all parameters."""
        window = "&mjd={}-{}".format(*self.nights) if self.nights else ""
        return f"{SCHEME}?release={self.data_release.lower()}{window}"

    @property
    def watermark_id(self) -> str:
        """The URI, since a data release does not change."""
        return self.name

    def read_batches(self, after: int) -> Iterator[Batch]:
        """Read the pages that follow position `after`, a `specobjid` without its lowest bits.

        Raises:
            CatalogError: SkyServer returned an error or an unexpected table.
        """
        begin = (after + 1) << _POSITION_SHIFT if after else 1
        for first, last in self._list_id_ranges(begin):
            while first <= last:
                rows = self._read_page(first, last)
                if not rows.num_rows:
                    break
                position = int(rows["specobjid"][-1].as_py()) >> _POSITION_SHIFT
                first = (position + 1) << _POSITION_SHIFT
                release = pa.repeat(pa.scalar(self.data_release), rows.num_rows)
                rows = rows.append_column("release", release)
                yield Batch(rows.select([*ROW_COLUMNS, *self._optional]), position)

    @property
    def _optional(self) -> dict[str, str]:
        """The database's column of each optional input."""
        return {**_OPTIONAL, **_WISE} if self._has_wise else _OPTIONAL

    @property
    def _has_wise(self) -> bool:
        return int(self.data_release.removeprefix("DR")) >= FIRST_DATA_RELEASE_WITH_WISE

    def _read_page(self, first: int, last: int) -> pa.Table:
        nights = " AND s.mjd BETWEEN {} AND {}".format(*self.nights) if self.nights else ""
        sql = _SPECTRA.format(
            rows=PAGE_ROWS,
            first=first,
            last=last,
            nights=nights,
            optional=", ".join(f"{column} AS {ours}" for ours, column in self._optional.items()),
            wise=_JOIN_WISE if self._has_wise else "",
        )
        rows = self._query(sql, ["specobjid", *OBSERVATION_COLUMNS, *self._optional])
        self._check_order([int(text) for text in rows["specobjid"].to_pylist()], first)
        return rows

    def _check_order(self, ids: list[int], first: int) -> None:
        if ids != sorted(set(ids)) or (ids and ids[0] < first):
            raise CatalogError(
                f"{self.name}: the server ignored the order or the range of the query: check "
                "SKYCLASS_SKYSERVER_URL"
            )

    def _list_id_ranges(self, begin: int) -> Iterator[tuple[int, int]]:
        """Yield ranges of `specobjid`: a single one, or those of the plates of the nights.

        The highest bits of a `specobjid` are the plate, and SpecObj is stored in its order. A query
        for a range of plates is fast; one for a range of nights would scan the whole table.
        """
        if self.nights is None:
            yield begin, _MAX_ID
            return
        run: list[int] = []
        for plate in self._list_plates(begin >> _PLATE_SHIFT, *self.nights):
            if run and plate != run[-1] + 1:
                yield _to_id_range(run, begin)
                run = []
            run.append(plate)
        if run:
            yield _to_id_range(run, begin)

    def _list_plates(self, begin: int, start: int, end: int) -> Iterator[int]:
        after = begin - 1
        while True:
            sql = _PLATES.format(rows=PAGE_ROWS, after=after, start=start, end=end)
            plates = [int(plate) for plate in self._query(sql, ["plate"])["plate"].to_pylist()]
            if not plates:
                return
            self._check_order(plates, after + 1)
            yield from plates
            after = plates[-1]

    def _query(self, sql: str, columns: list[str]) -> pa.Table:
        """Return columns of a query's result, as text."""
        rows = parse_table(self.client.query(self.data_release, " ".join(sql.split())))
        if not rows.num_rows:
            return pa.schema([(name, pa.string()) for name in columns]).empty_table()
        missing = [name for name in columns if name not in rows.column_names]
        if missing:
            raise CatalogError(
                f"{self.name}: the response has no column {missing[0]} (it has "
                f"{', '.join(rows.column_names[:8])}): check SKYCLASS_SKYSERVER_URL"
            )
        return rows.select(columns)


def _to_id_range(plates: list[int], begin: int) -> tuple[int, int]:
    first, last = plates[0] << _PLATE_SHIFT, ((plates[-1] + 1) << _PLATE_SHIFT) - 1
    return max(first, begin), last
