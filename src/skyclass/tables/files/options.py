"""Options of a table, given behind the address of its file."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from skyclass.errors import CatalogError
from skyclass.survey.features import ALL_INPUTS, INPUTS, Mode
from skyclass.survey.observation import OBSERVATION_COLUMNS
from skyclass.urls import omit_credentials

COLUMN_OPTIONS = (
    *dict.fromkeys(
        [*OBSERVATION_COLUMNS, *ALL_INPUTS[Mode.PHOTOMETRIC], *INPUTS[Mode.SPECTROSCOPIC]]
    ),
    "source_id",
)
"""Our names of columns; the value is the file's name."""
QUERY_OPTIONS = ("encoding", "classes")
"""Options that are split off the query of a URL. The others are too short to be ours for certain;
for a URL they stand behind a `#`."""
FILE_OPTIONS = (*QUERY_OPTIONS, "hdu", *COLUMN_OPTIONS)
TABLE_OPTIONS = (*FILE_OPTIONS, "version")
_WEB = ("http://", "https://")


@dataclass(frozen=True)
class Options:
    """What a file does not say about itself.

    Attributes:
        encoding: Encoding of a text file.
        classes: Classes of the codes 0, 1 and 2, separated by commas.
        version: Version of a Delta table.
        hdu: Number or name of the table of a FITS or VOTable file.
        columns: The file's name of each column that was named.
    """

    encoding: str | None = None
    classes: str | None = None
    version: str | None = None
    hdu: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


def split_options(uri: str, names: Collection[str] = FILE_OPTIONS) -> tuple[str, Options]:
    """Split an address from the options behind its question mark.

    Other parameters stay with the address: they belong to the query of a URL. A file of this
    machine whose name has a question mark is preferred to a file with options.

    Args:
        uri: The address with its options.
        names: Options to split off.

    Raises:
        CatalogError: An option occurs twice, or one behind a `#` or a file of this machine is
            unknown.

    Examples:
        >>> split_options("stars.csv?encoding=latin-1&classes=STAR,GALAXY,QSO")[1].classes
        'STAR,GALAXY,QSO'
        >>> split_options("stars.fits?hdu=2&z=psfMag_z&redshift=z")[1].columns
        {'z': 'psfMag_z', 'redshift': 'z'}
        >>> split_options("https://example.org/get?id=7&encoding=utf-16")[0]
        'https://example.org/get?id=7'
        >>> address, options = split_options("https://example.org/get?u=7#u=psfMag_u")
        >>> address, options.columns
        ('https://example.org/get?u=7', {'u': 'psfMag_u'})
        >>> split_options("https://example.org/table?version=2")[0]
        'https://example.org/table?version=2'
    """
    if "?" in uri and Path(uri.removeprefix("file://")).is_file():
        return uri, Options()
    options: dict[str, str] = {}
    if uri.startswith(_WEB):
        address, _, fragment = uri.partition("#")
        uri = omit_credentials(uri)  # errors show it
        unknown = _split_query(uri, fragment, names, options)
        if unknown:
            raise CatalogError(f"{uri}: unknown option {unknown[0]}: write for example #hdu=2")
        names = [name for name in names if name in QUERY_OPTIONS]
    else:
        address = uri
    address, _, query = address.partition("?")
    others = _split_query(uri, query, names, options)
    if others and Path(address.removeprefix("file://")).is_file():
        raise CatalogError(
            f"{Path(address).name}: unknown option {others[0]}: write for example ?hdu=2"
        )
    columns = {name: options.pop(name) for name in COLUMN_OPTIONS if name in options}
    return "?".join([address, *(["&".join(others)] if others else [])]), Options(
        **options, columns=columns
    )


def _split_query(
    uri: str, query: str, names: Collection[str], options: dict[str, str]
) -> list[str]:
    """Add the options of a query to others, and return its other parts."""
    others = []
    for part in filter(None, query.split("&")):
        name, separator, value = part.partition("=")
        if not separator or name not in names:
            others.append(part)
        elif name in options:
            raise CatalogError(f"{uri}: the option {name} occurs twice: remove one of them")
        else:
            options[name] = value
    return others
