"""VOTable documents, parsed without anything that they refer to."""

import io
import math
import re
from typing import Any
from xml.parsers import expat

import numpy as np
from astropy.io.votable import parse
from astropy.io.votable.tree import TableElement, VOTableFile
from astropy.table import Table

from skyclass.errors import CatalogError, one_line

MAX_ELEMENTS = 1 << 28
"""Largest number of values of a table, as far as they are declared."""


def parse_votable(content: bytes, name: str, choice: str | None) -> Table:
    """Parse a table of a document.

    Args:
        content: The document.
        name: Name of the file in messages.
        choice: Number from 1, name or ID of the table; None for the first.

    Raises:
        CatalogError: The document has entities or external or compressed data, there is no such
            table, or the service that wrote it reported an error.
        ExpatError: The document is not XML.
        ValueError: It is not a VOTable.
    """
    guard, parser = _Guard(name), expat.ParserCreate()
    parser.EntityDeclHandler = guard.reject_entity
    parser.StartElementHandler = guard.check_element
    parser.Parse(content, True)
    document = parse(io.BytesIO(content), verify="ignore")
    _check_status(document, name)
    tables = list(document.iter_tables())
    for number, table in enumerate(tables, start=1):
        if choice is None or choice in (str(number), table.name, table.ID):
            result = table.to_table(use_names_over_ids=True)
            result.meta.setdefault("description", table.description)
            for fact in (*table.infos, *table.params):
                result.meta.setdefault(fact.name, _simplify(fact.value))
            return result
    if choice is None:
        raise CatalogError(f"{name}: no table in the file: check where it came from")
    known = ", ".join(_describe(table, at) for at, table in enumerate(tables, start=1))
    raise CatalogError(
        f"{name}: there is no table {choice!r}: choose a table ({known or 'there is none'}) by its "
        "number or name"
    )


def _simplify(value: Any) -> Any:
    """Return a scalar of NumPy as one of Python."""
    return value.item() if isinstance(value, np.generic) else value


class _Guard:
    """Rejects what could read another file, fill the memory, or open a connection.

    `expat` expands entities; astropy loads the data that a STREAM refers to, and allocates memory
    for the declared numbers of rows and of array elements before it reads them.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._width = self._rows = 0

    def reject_entity(self, *declaration: Any) -> None:
        """Handle the declaration of an entity."""
        raise CatalogError(f"{self._name}: the XML declares the entity {declaration[0]}: remove it")

    def check_element(self, element: str, attributes: dict[str, str]) -> None:
        """Handle the start of an element."""
        match element.rpartition(":")[2].upper():
            case "STREAM":
                self._check_stream(attributes)
            case "TABLE":
                self._width, self._rows = 0, int(attributes.get("nrows") or 0)
            case "FIELD":
                sizes = re.findall(r"\d+", attributes.get("arraysize", ""))
                self._width += math.prod(map(int, sizes))
            case "TR" | "DATA":
                self._rows += 1
        if self._width * self._rows > MAX_ELEMENTS:
            raise CatalogError(
                f"{self._name}: more than {MAX_ELEMENTS} values ({self._rows} rows of "
                f"{self._width}): convert the file to FITS or Parquet"
            )

    def _check_stream(self, attributes: dict[str, str]) -> None:
        for attribute, value in attributes.items():
            key = attribute.rpartition(":")[2].lower()
            if key == "href" or (key == "encoding" and value.lower() not in ("base64", "none")):
                raise CatalogError(
                    f"{self._name}: the data are not in the file ({attribute}={one_line(value)}): "
                    "save the table as FITS, or as VOTable with inline data"
                )


def _check_status(document: VOTableFile, name: str) -> None:
    for resource in document.resources:
        for info in resource.infos:
            if info.name == "QUERY_STATUS" and str(info.value).upper() == "ERROR":
                reason = one_line(info.content or "without a reason")
                raise CatalogError(
                    f"{name}: the service reported an error ({reason}): repeat the query"
                )


def _describe(table: TableElement, number: int) -> str:
    label = table.name or table.ID
    return f"{number} ({label})" if label else str(number)
