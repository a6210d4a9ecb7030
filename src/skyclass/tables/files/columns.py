"""Columns that are needed, found by name among those that a file has.

The name `z` is a magnitude in photometric tables and the redshift in spectroscopic ones. A table is
read only where it is certain which column has the magnitudes; docs/data.md states the rule.
"""

from collections.abc import Collection, Mapping, Sequence

from skyclass.errors import CatalogError
from skyclass.survey.dialects import ALIASES, MAGNITUDE_NAMES, REDSHIFT_COMPANIONS, Z_MAGNITUDES
from skyclass.survey.features import MAGNITUDES, OPTIONAL_INPUTS, Mode
from skyclass.tables.files.base import TableFile
from skyclass.tables.files.evidence import (
    find_wrong_unit,
    get_fact,
    is_redshift,
    is_usable,
    read_first_numbers,
)

_SHOWN_COLUMNS = 12
_EXAMPLES = {band: f"psfMag_{band}" for band in MAGNITUDES}
_DEREDDENED = "dered"
"""How the names of magnitudes begin that are corrected for Galactic extinction."""


def find_columns(
    file: TableFile,
    required: Sequence[str],
    optional: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Find columns by given names, by our names, or by those that they have in SDSS tables.

    Names of more than one letter match in any case. An optional input that is found by its name is
    left out if its unit or its first values are none of it, and if it does not go with dereddened
    magnitudes.

    Args:
        file: The file.
        required: Our names of the columns that it must have.
        optional: Our names of the columns that it can have.
        names: The file's name of each column that was named.

    Returns:
        The position in the header of each column that was found.

    Raises:
        CatalogError: A required or named column is missing, one of the columns is duplicated, the
            magnitudes have another unit, or it is not certain which column has the z magnitude.
    """
    names = names or {}
    wanted = list(dict.fromkeys((*required, *optional)))
    found = {ours: _find(file, names[ours], ours) for ours in wanted if ours in names}
    if any(band in wanted and band not in names for band in MAGNITUDES):
        found |= {
            band: position
            for band, position in _find_magnitudes(file, names).items()
            if band in wanted and band not in names
        }
    for ours in wanted:
        if ours not in found and ours not in MAGNITUDES:
            # An optional column `CLASS` can have other classes, for which there is no use.
            in_any_case = ours != "class" or ours in required
            position = _match(file, (ours, *ALIASES.get(ours, ())), in_any_case)
            if position is None and ours == "redshift":
                position = _find_redshift(file, found.values())
            if position is not None:
                found[ours] = position
    for ours in required:
        if ours not in found:
            raise _missing_error(file, ours)
    found = {ours: found[ours] for ours in wanted if ours in found}
    _check_units(file, found)
    return _drop_unusable(file, found, {*required, *names})


def is_dereddened(file: TableFile, found: Mapping[str, int]) -> bool:
    """Return whether the magnitudes are corrected for Galactic extinction; then it is 0."""
    return "r" in found and file.header[found["r"]].casefold().startswith(_DEREDDENED)


def _find(file: TableFile, theirs: str, ours: str) -> int:
    """Return the position of a column that was named."""
    position = _match(file, (theirs,))
    if position is None:
        raise CatalogError(
            f"{file.name}: there is no column {theirs!r} for {ours} (found {_show(file)}): correct "
            "the option"
        )
    return position


def _match(file: TableFile, candidates: Sequence[str], in_any_case: bool = True) -> int | None:
    """Return the position of the first of some names, preferably in the same case."""
    header = file.header
    folded = [name.casefold() if len(name) > 1 else name for name in header]
    for name in candidates:
        if name in header:
            if header.count(name) > 1:
                raise CatalogError(
                    f"{file.name}: duplicate column {name}: rename or remove one of them"
                )
            return header.index(name)
    for name in candidates:
        if in_any_case and len(name) > 1 and folded.count(name.casefold()) == 1:
            return folded.index(name.casefold())
    return None


def _find_magnitudes(file: TableFile, names: Mapping[str, str]) -> dict[str, int]:
    """Return the magnitudes of the first kind of names that the file has for all bands.

    Without such a kind, those under our own names are returned.
    """
    bands = [band for band in MAGNITUDES if band not in names]
    doubt, ours = "", {}
    for pattern in MAGNITUDE_NAMES:
        positions = {band: _match(file, (pattern.format(band),)) for band in bands}
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


def _doubt_magnitude(file: TableFile, found: Mapping[str, int], names: Mapping[str, str]) -> str:
    """Return why the column z may not be a magnitude; empty if it is one."""
    z = found["z"]
    r = _find(file, names["r"], "r") if "r" in names else found["r"]
    sample = read_first_numbers(file, [z, r])
    verdict = is_redshift(file, z, sample[z], sample[r])
    if verdict is True or names.get("redshift") == file.header[z]:
        return "the column z has redshifts, not magnitudes"
    has_redshift = _match(file, ("redshift", *ALIASES["redshift"])) is not None
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


def _find_redshift(file: TableFile, taken: Collection[int]) -> int | None:
    """Return the position of a column z that is certainly the redshift."""
    for name in ("z", "Z"):
        position = _match(file, (name,))
        if position is not None and position not in taken:
            ucd = get_fact(file, position, b"ucd").casefold()
            if "redshift" in ucd or (not ucd and _list_companions(file, REDSHIFT_COMPANIONS)):
                return position
    return None


def _check_units(file: TableFile, found: Mapping[str, int]) -> None:
    for band in MAGNITUDES:
        wrong = find_wrong_unit(file, found[band]) if band in found else ""
        if wrong:
            raise CatalogError(
                f"{file.name}: column {file.header[found[band]]} has {wrong}, expected magnitudes: "
                f"name another column (`?{band}=…`), or convert it (nanomaggies: 22.5 - 2.5 log10)"
            )


def _drop_unusable(
    file: TableFile, found: Mapping[str, int], certain: Collection[str]
) -> dict[str, int]:
    """Leave out optional inputs that were found by their names and mean something else."""
    kept = dict(found)
    dereddened = is_dereddened(file, found)
    guessed = [
        name for name in OPTIONAL_INPUTS[Mode.PHOTOMETRIC] if name in found and name not in certain
    ]
    sample = read_first_numbers(file, [found[name] for name in guessed]) if guessed else {}
    for name in guessed:
        position = found[name]
        theirs = file.header[position].casefold()
        is_other = name.startswith("psf_") and theirs.startswith(_DEREDDENED) != dereddened
        is_corrected = name == "extinction_r" and dereddened
        if is_other or is_corrected or not is_usable(file, position, name, sample[position]):
            del kept[name]
    return kept


def _missing_error(file: TableFile, ours: str) -> CatalogError:
    has_z = ours == "redshift" and "z" in file.header
    theirs = "z" if has_z else _EXAMPLES.get(ours, f"my_{ours}")
    return CatalogError(
        f"{file.name}: missing column {ours} (found {_show(file)}): add it, or name the column "
        f"that holds it, for example `?{ours}={theirs}`{file.hint}"
    )


def _show(file: TableFile) -> str:
    return ", ".join(file.header[:_SHOWN_COLUMNS])
