"""Column names of the public SDSS tables. A new file dialect is one entry in `DIALECTS`.

Columns are matched by name, never by position. Two names are ambiguous: `z` is a magnitude in
photometric tables and the redshift in spectroscopic ones (`tables/files/magnitudes.py` decides),
and `mjd` can be the night of imaging. A dialect therefore matches only a header that has all of its
columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from skyclass.errors import CatalogError
from skyclass.survey.features import MAGNITUDES
from skyclass.survey.observation import OBSERVATION_COLUMNS


@dataclass(frozen=True)
class Dialect:
    """Column names and codes of one kind of file.

    Attributes:
        name: Name in messages and in the documentation.
        data_release: SDSS data release of such files; None if they have a column `release`.
        aliases: The file's name of each observation column that the file names differently.
        class_codes: Class of each code that such files document. Numbers have no meaning of their
            own: some copies of the public files count in alphabetical order, some do not.
    """

    name: str
    data_release: str | None
    aliases: Mapping[str, str] = field(default_factory=dict)
    class_codes: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, str]:
        """Our name of each of the file's columns that is read."""
        ours = [*OBSERVATION_COLUMNS, *(() if self.data_release else ("release",))]
        return {self.aliases.get(name, name): name for name in ours}

    def find_missing(self, header: Sequence[str]) -> list[str]:
        """Return the columns of the dialect that a header lacks."""
        return [column for column in self.columns if column not in header]


UNKNOWN = Dialect("skyclass", "UNKNOWN")
"""The dialect of files whose columns are found by `ALIASES` alone."""

DIALECTS = (
    Dialect("Kaggle SDSS17", "DR17", {"mjd": "MJD", "fiber_id": "fiber_ID"}),
    Dialect("Kaggle DR14", "DR14", {"fiber_id": "fiberid", "alpha": "ra", "delta": "dec"}),
    Dialect("SkyServer CSV", "DR17", {"fiber_id": "fiberID", "alpha": "ra", "delta": "dec"}),
    Dialect("skyclass table", None),
    UNKNOWN,
)
"""The known dialects. The first one that has no missing column is used."""

MAGNITUDE_NAMES = ("{}", "modelMag_{}", "dered_{}", "{}mag", "mag_{}", "{}_mag")
"""Names of the magnitudes in public tables, by band. A file has all bands under one kind of names.

Those that begin with `dered` are corrected for Galactic extinction.
"""

Z_MAGNITUDES = tuple(
    pattern.format("z").casefold()
    for pattern in (*MAGNITUDE_NAMES[1:], "psfMag_{}", "psf_{}", "cModelMag_{}", "petroMag_{}")
)
"""Names of z magnitudes, in lower case; beside them, `z` is often the redshift."""
REDSHIFT_COMPANIONS = ("zerr", "z_err", "e_z", "zwarning", "zwarn", "z_warning", "zconf")
"""Names of columns that accompany a redshift named `z`, in lower case."""

ALIASES = (
    {
        name: tuple(dict.fromkeys(each.aliases[name] for each in DIALECTS if name in each.aliases))
        for name in OBSERVATION_COLUMNS
    }
    | {
        "fiber_id": ("fiberID", "fiberid", "fiber_ID", "fiber"),
        "alpha": ("ra", "RAJ2000", "RA_ICRS", "raMean"),
        "delta": ("dec", "DEJ2000", "DECJ2000", "DE_ICRS", "decMean"),
        "redshift": ("specz", "spec_z", "zspec", "z_spec", "zsp", "specObj_z"),
        "source_id": ("objid", "objID", "obj_ID"),
        "type": ("objc_type",),
        "w1": ("w1mpro", "w1_mag", "w1mag"),
        "w2": ("w2mpro", "w2_mag", "w2mag"),
    }
    | {f"psf_{band}": (f"psfMag_{band}", f"dered_psf_{band}") for band in MAGNITUDES}
    | {f"err_{band}": (f"modelMagErr_{band}", f"e_{band}mag") for band in MAGNITUDES}
)
"""Names in SDSS, WISE and VizieR tables of our columns, which match in any case."""


def detect_dialect(header: Sequence[str], file_name: str) -> Dialect:
    """Return the dialect of a file, `UNKNOWN` if its columns have the names of no single one.

    Args:
        header: The file's column names.
        file_name: Name of the file in error messages.

    Raises:
        CatalogError: The header has less than half of the columns of an observation.

    Examples:
        >>> header = "plate MJD fiber_ID alpha delta u g r i z redshift class".split()
        >>> detect_dialect(header, "photometry.csv").name
        'Kaggle SDSS17'
    """
    for dialect in DIALECTS:
        if not dialect.find_missing(header):
            return dialect
    folded = {name.casefold() for name in header}
    known = [name for name in OBSERVATION_COLUMNS if folded & {*map(str.casefold, _names(name))}]
    if len(known) < len(OBSERVATION_COLUMNS) / 2:
        raise CatalogError(
            f"{file_name}: no known dialect (found columns {', '.join(header[:8]) or 'none'}): "
            f"use one of {', '.join(dialect.name for dialect in DIALECTS)}"
        )
    return UNKNOWN


def _names(name: str) -> list[str]:
    patterns = MAGNITUDE_NAMES if name in MAGNITUDES else ()
    return [name, *ALIASES.get(name, ()), *(pattern.format(name) for pattern in patterns)]
