"""The public CSV dialects of SDSS tables: which of their columns mean what.

Columns are matched by name and never by position. Two names are traps: `z` is a magnitude in
photometric tables and the redshift in spectroscopic ones, and `mjd` may be the night of imaging;
so a dialect is only recognised when every one of its columns is there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skyclass.errors import CatalogError
from skyclass.survey.features import MAGNITUDES
from skyclass.survey.observation import CLASSES, OBSERVATION_COLUMNS, ROW_COLUMNS

CLASS_CODES = dict(zip("012", CLASSES, strict=True))
"""Some copies of the Kaggle files carry the class as a number, in alphabetical order."""

_SAME = {name: name for name in (*MAGNITUDES, "redshift", "class")}


@dataclass(frozen=True)
class Dialect:
    """One way of naming an observation's columns.

    Attributes:
        name: What the dialect is called in messages and docs.
        columns: Source column of each of `OBSERVATION_COLUMNS`, or of `ROW_COLUMNS`.
        release: The survey's data release that files of this dialect hold; none where each row
            says its own.
    """

    name: str
    columns: Mapping[str, str]
    release: str | None


DIALECTS = (
    Dialect(
        "Kaggle SDSS17",
        {
            **{"plate": "plate", "mjd": "MJD", "fiber_id": "fiber_ID"},
            **{"alpha": "alpha", "delta": "delta"},
            **_SAME,
        },
        "DR17",
    ),
    Dialect(
        "Kaggle DR14",
        {
            **{"plate": "plate", "mjd": "mjd", "fiber_id": "fiberid"},
            **{"alpha": "ra", "delta": "dec"},
            **_SAME,
        },
        "DR14",
    ),
    Dialect(
        "SkyServer CSV",
        {
            **{"plate": "plate", "mjd": "mjd", "fiber_id": "fiberID"},
            **{"alpha": "ra", "delta": "dec"},
            **_SAME,
        },
        "DR17",
    ),
    Dialect("skyclass table", {name: name for name in ROW_COLUMNS}, None),
    Dialect("skyclass", {name: name for name in OBSERVATION_COLUMNS}, "UNKNOWN"),
)


def recognise(header: Sequence[str], where: str) -> Dialect:
    """Find the dialect that a file is written in.

    Args:
        header: The file's column names.
        where: The file's name, for the message.

    Raises:
        CatalogError: A column stands twice, or no dialect has all its columns in the header; the
            message names what the nearest dialect misses.
    """
    twice = sorted({name for name in header if list(header).count(name) > 1})
    if twice:
        raise CatalogError(f"{where}: column {twice[0]} stands twice: rename one of them")

    def missing(dialect: Dialect) -> list[str]:
        return [column for column in dialect.columns.values() if column not in header]

    nearest = min(DIALECTS, key=lambda dialect: len(missing(dialect)))
    if not missing(nearest):
        return nearest
    if len(missing(nearest)) > len(OBSERVATION_COLUMNS) // 2:
        raise CatalogError(
            f"{where}: no known dialect (found columns {', '.join(header[:8]) or 'none'}): "
            f"give a file in one of {', '.join(dialect.name for dialect in DIALECTS)}"
        )
    raise CatalogError(
        f"{where}: column {', '.join(missing(nearest))} is missing "
        f"(nearest dialect: {nearest.name}): add it or rename the column that holds it"
    )
