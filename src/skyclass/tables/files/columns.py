"""Columns that are needed, found by name among those that a file has."""

from collections.abc import Sequence

from skyclass.errors import CatalogError
from skyclass.survey.dialects import ALIASES
from skyclass.tables.files.base import TableFile


def find_columns(
    file: TableFile, required: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, int]:
    """Find columns by their names, or by the names that they have in SDSS tables.

    Args:
        file: The file.
        required: Our names of the columns that it must have.
        optional: Our names of the columns that it can have.

    Returns:
        The position in the header of each column that was found.

    Raises:
        CatalogError: A required column is missing, or one of the columns is duplicated.
    """
    header = file.header
    found: dict[str, int] = {}
    for ours in (*required, *optional):
        names = [name for name in (ours, *ALIASES.get(ours, ())) if name in header]
        if names:
            if header.count(names[0]) > 1:
                raise CatalogError(
                    f"{file.name}: duplicate column {names[0]}: rename or remove one of them"
                )
            found[ours] = header.index(names[0])
        elif ours in required:
            shown = ", ".join(header[:_SHOWN_COLUMNS])
            raise CatalogError(
                f"{file.name}: missing column {ours} (found {shown}): add it, or rename the "
                f"column that holds it{file.hint}"
            )
    return found


_SHOWN_COLUMNS = 12
