"""Options of a table, given behind the address of its file."""

from collections.abc import Collection
from dataclasses import dataclass

from skyclass.errors import CatalogError

FILE_OPTIONS = ("encoding", "classes")
TABLE_OPTIONS = (*FILE_OPTIONS, "version")


@dataclass(frozen=True)
class Options:
    """What a file does not say about itself.

    Attributes:
        encoding: Encoding of a text file.
        classes: Classes of the codes 0, 1 and 2, separated by commas.
        version: Version of a Delta table.
    """

    encoding: str | None = None
    classes: str | None = None
    version: str | None = None


def split_options(uri: str, names: Collection[str] = FILE_OPTIONS) -> tuple[str, Options]:
    """Split an address from the options behind its question mark.

    Other parameters stay with the address: they belong to the query of a URL.

    Args:
        uri: The address with its options.
        names: Options to split off.

    Raises:
        CatalogError: An option occurs twice.

    Examples:
        >>> split_options("stars.csv?encoding=latin-1&classes=STAR,GALAXY,QSO")[1].classes
        'STAR,GALAXY,QSO'
        >>> split_options("https://example.org/get?id=7&encoding=utf-16")[0]
        'https://example.org/get?id=7'
        >>> split_options("https://example.org/table?version=2")[0]
        'https://example.org/table?version=2'
    """
    address, _, query = uri.partition("?")
    options: dict[str, str] = {}
    others = []
    for part in filter(None, query.split("&")):
        name, separator, value = part.partition("=")
        if not separator or name not in names:
            others.append(part)
        elif name in options:
            raise CatalogError(f"{uri}: the option {name} occurs twice: remove one of them")
        else:
            options[name] = value
    return "?".join([address, *(["&".join(others)] if others else [])]), Options(**options)
