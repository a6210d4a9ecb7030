"""Options of a table, given behind the address of its file."""

import re
from dataclasses import dataclass

from skyclass.errors import CatalogError

_OPTION = re.compile(r"(encoding|classes|version)=(.*)")


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


def split_options(uri: str) -> tuple[str, Options]:
    """Split an address from the options behind its question mark.

    Other parameters stay with the address: they belong to the query of a URL.

    Raises:
        CatalogError: An option occurs twice.

    Examples:
        >>> split_options("stars.csv?encoding=latin-1&classes=STAR,GALAXY,QSO")[1].classes
        'STAR,GALAXY,QSO'
        >>> split_options("https://example.org/get?id=7&encoding=utf-16")[0]
        'https://example.org/get?id=7'
    """
    address, _, query = uri.partition("?")
    options: dict[str, str] = {}
    others = []
    for part in filter(None, query.split("&")):
        if not (found := _OPTION.fullmatch(part)):
            others.append(part)
        elif found[1] in options:
            raise CatalogError(f"{uri}: the option {found[1]} occurs twice: remove one of them")
        else:
            options[found[1]] = found[2]
    return "?".join([address, *(["&".join(others)] if others else [])]), Options(**options)
