"""Columns found by name."""

from collections.abc import Sequence

from skyclass.errors import CatalogError
from skyclass.tables.files.base import TableFile

_SHOWN_COLUMNS = 12


def match_column(
    file: TableFile, candidates: Sequence[str], in_any_case: bool = True
) -> int | None:
    """Return the position of the first of some names, preferably in the same case.

    Raises:
        CatalogError: The column is duplicated.
    """
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


def require_column(file: TableFile, theirs: str, ours: str) -> int:
    """Return the position of a column that was named.

    Args:
        file: The file.
        theirs: The file's name of the column.
        ours: Our name of it.

    Raises:
        CatalogError: There is no such column, or it is duplicated.
    """
    position = match_column(file, (theirs,))
    if position is None:
        raise CatalogError(
            f"{file.name}: there is no column {theirs!r} for {ours} (found {show_columns(file)}): "
            "correct the option"
        )
    return position


def show_columns(file: TableFile) -> str:
    """Return the first column names for a message."""
    return ", ".join(file.header[:_SHOWN_COLUMNS])
