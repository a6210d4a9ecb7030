"""The magnitudes of a table, and whether its column z is one of them or the redshift.

docs/data.md states the rule.
"""

from collections.abc import Collection, Mapping

from skyclass.errors import CatalogError
from skyclass.survey.dialects import ALIASES, MAGNITUDE_NAMES, REDSHIFT_COMPANIONS, Z_MAGNITUDES
from skyclass.survey.features import MAGNITUDES
from skyclass.tables.files.base import TableFile
from skyclass.tables.files.evidence import get_fact, is_redshift, read_first_numbers
from skyclass.tables.files.names import match_column, require_column

_DEREDDENED = "dered"
"""How the names of magnitudes begin that are corrected for Galactic extinction."""


def find_magnitudes(file: TableFile, names: Mapping[str, str]) -> dict[str, int]:
    """Return the magnitudes of the first kind of names that the file has for all bands.

    Without such a kind, those under our own names are returned.

    Args:
        file: The file.
        names: The file's name of each column that was named; magnitudes among them are left out.

    Raises:
        CatalogError: It is not certain which column has the z magnitude.
    """
    bands = [band for band in MAGNITUDES if band not in names]
    doubt, ours = "", {}
    for pattern in MAGNITUDE_NAMES:
        positions = {band: match_column(file, (pattern.format(band),)) for band in bands}
        found = {band: position for band, position in positions.items() if position is not None}
        if pattern == MAGNITUDE_NAMES[0]:
            ours = found
            if "z" in found and len(found) == len(bands):
                doubt = _doubt_magnitude(file, found, names)
                if doubt:
                    continue
        if len(found) == len(bands):
            return found
    if doubt:
        raise CatalogError(
            f"{file.name}: {doubt}: name the column of the z magnitude, for example "
            "`?z=psfMag_z`, and that of the redshift, for example `?redshift=z`"
        )
    return ours


def find_redshift(file: TableFile, taken: Collection[int]) -> int | None:
    """Return the position of a column z that is certainly the redshift."""
    for name in ("z", "Z"):
        position = match_column(file, (name,))
        if position is not None and position not in taken:
            ucd = get_fact(file, position, b"ucd").casefold()
            if "redshift" in ucd or (not ucd and _list_companions(file, REDSHIFT_COMPANIONS)):
                return position
    return None


def is_corrected(name: str) -> bool:
    """Return whether the name of a magnitude says that it is corrected for extinction."""
    return name.casefold().startswith(_DEREDDENED)


def _doubt_magnitude(file: TableFile, found: Mapping[str, int], names: Mapping[str, str]) -> str:
    """Return why the column z may not be a magnitude; empty if it is one."""
    z = found["z"]
    r = require_column(file, names["r"], "r") if "r" in names else found["r"]
    sample = read_first_numbers(file, [z, r])
    verdict = is_redshift(file, z, sample[z], sample[r])
    if verdict is True or names.get("redshift") == file.header[z]:
        return "the column z has redshifts, not magnitudes"
    has_redshift = match_column(file, ("redshift", *ALIASES["redshift"])) is not None
    if verdict is None and not has_redshift and "redshift" not in names:
        companions = _list_companions(file, (*REDSHIFT_COMPANIONS, *Z_MAGNITUDES))
        if companions:
            return f"the column z can be the redshift, because there is {companions[0]}"
    return ""


def _list_companions(file: TableFile, names: Collection[str]) -> list[str]:
    """Return the columns with some names that have no counterpart for r."""
    folded = [name.casefold() for name in file.header]
    return [
        name
        for name in file.header
        if name.casefold() in names and name.casefold().replace("z", "r", 1) not in folded
    ]
