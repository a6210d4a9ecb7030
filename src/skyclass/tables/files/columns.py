"""Columns that are needed, found by name among those that a file has.

docs/data.md lists the names.
"""

from collections.abc import Collection, Mapping, Sequence

from skyclass.errors import CatalogError
from skyclass.survey.dialects import ALIASES
from skyclass.survey.features import MAGNITUDES, OPTIONAL_INPUTS, Mode
from skyclass.survey.observation import POSITION
from skyclass.tables.files.base import TableFile
from skyclass.tables.files.evidence import find_wrong_unit, is_usable, read_first_numbers
from skyclass.tables.files.magnitudes import find_magnitudes, find_redshift, is_corrected
from skyclass.tables.files.names import match_column, require_column, show_columns

_EXAMPLES = {band: f"psfMag_{band}" for band in MAGNITUDES}


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
        CatalogError: A required or named column is missing or has another unit, one of the columns
            is duplicated, or it is not certain which column has the z magnitude.
    """
    names = names or {}
    wanted = list(dict.fromkeys((*required, *optional)))
    found = {ours: require_column(file, names[ours], ours) for ours in wanted if ours in names}
    if any(band in wanted and band not in names for band in MAGNITUDES):
        found |= {
            band: position
            for band, position in find_magnitudes(file, names).items()
            if band in wanted and band not in names
        }
    for ours in wanted:
        if ours not in found and ours not in MAGNITUDES:
            # An optional column `CLASS` can have other classes, for which there is no use.
            in_any_case = ours != "class" or ours in required
            position = match_column(file, (ours, *ALIASES.get(ours, ())), in_any_case)
            if position is None and ours == "redshift":
                position = find_redshift(file, found.values())
            if position is not None:
                found[ours] = position
    for ours in required:
        if ours not in found:
            raise _missing_error(file, ours)
    found = {ours: found[ours] for ours in wanted if ours in found}
    certain = {*required, *names}
    _check_units(file, {ours: at for ours, at in found.items() if ours in certain})
    return _drop_unusable(file, found, certain)


def is_dereddened(file: TableFile, found: Mapping[str, int]) -> bool:
    """Return whether the magnitudes are corrected for Galactic extinction; then it is 0."""
    return "r" in found and is_corrected(file.header[found["r"]])


def _check_units(file: TableFile, found: Mapping[str, int]) -> None:
    for name in (*MAGNITUDES, *POSITION):
        wrong = find_wrong_unit(file, found[name], name) if name in found else ""
        if wrong and name in POSITION:
            raise CatalogError(
                f"{file.name}: column {file.header[found[name]]} has {wrong}, expected degrees: "
                "convert it"
            )
        if wrong:
            raise CatalogError(
                f"{file.name}: column {file.header[found[name]]} has {wrong}, expected magnitudes: "
                f"name another column (`?{name}=…`), or convert it (nanomaggies: 22.5 - 2.5 log10)"
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
        is_other = name.startswith("psf_") and is_corrected(file.header[position]) != dereddened
        is_none = name == "extinction_r" and dereddened
        if is_other or is_none or not is_usable(file, position, name, sample[position]):
            del kept[name]
    return kept


def _missing_error(file: TableFile, ours: str) -> CatalogError:
    has_z = ours == "redshift" and "z" in file.header
    theirs = "z" if has_z else _EXAMPLES.get(ours, f"my_{ours}")
    fluxes = [name for name in file.header if "flux" in name.casefold()]
    is_flux = fluxes and ours in MAGNITUDES
    hint = f"; {fluxes[0]} is a flux, convert it to magnitudes" if is_flux else ""
    return CatalogError(
        f"{file.name}: missing column {ours} (found {show_columns(file)}): add it, or name the "
        f"column that holds it, for example `?{ours}={theirs}`{hint}{file.hint}"
    )
