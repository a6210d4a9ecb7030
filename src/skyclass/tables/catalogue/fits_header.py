"""Headers of FITS files with one binary table."""

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from skyclass.tables.catalogue.fields import (
    Parameter,
    convert_unit,
    read_metadata,
    read_parameters,
)

if TYPE_CHECKING:
    from skyclass.tables.catalogue.fits import Column

MAX_NAME_CHARACTERS = 68
"""Longest text in one card of a header."""

_MAX_KEYWORD_CHARACTERS = 40
"""Longest keyword that leaves room for any number in one card; astropy writes longer cards for
longer ones, which nothing can read."""

_KEYWORD = re.compile(r"[A-Z0-9_-]{1,8}")
_NOT_IN_KEYWORD = re.compile(r"[^\w-]", re.ASCII)  # astropy takes * and ? for a pattern
_RESERVED = re.compile(
    r"SIMPLE|EXTEND|XTENSION|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|GROUPS|TFIELDS|THEAP|END|CONTINUE"
    r"|EXTNAME|DATASUM|CHECKSUM|B(ZERO|SCALE)|Z(IMAGE|TABLE)"
    r"|COMMENT|HISTORY|T(TYPE|FORM|UNIT|NULL|SCAL|ZERO|DISP|DIM|UCD|COMM|BCOL)\d+"
)
"""Keywords that do not describe the table as a whole."""

_TABLE_KEYWORDS = {
    "model_release": "MODELREL",
    "data_release": "DATAREL",
    "creator": "AUTHOR",
    "is_derived_from": "REFERENC",
    "reference_url": "REFURL",
    "rights": "LICENSE",
    "publication_date": "DATE",
    "acknowledgement": "ACKNOWL",
    "server_software": "CREATOR",
    "model_metrics": "METRICS",
    "predictions_version": "PREDVER",
    "row_count": "ROWCOUNT",
}
"""Keyword of each fact about a table that has another name than in VOTable."""

_KEYWORDS = {
    "unit": "TUNIT",
    "ucd": "TUCD",
    "description": "TCOMM",
    "utype": "TUTYP",
    "xtype": "TXTYP",
    "display": "TDISP",
}
"""Keyword of each fact about a column. The standard has only those of unit and display; STIL and
astropy read the others."""


def make_headers(
    schema: pa.Schema, columns: Sequence["Column"], rows: int, row_bytes: int
) -> tuple[Any, Any]:
    """Return the primary header and the header of the table.

    DATASUM and CHECKSUM of the table are set when its data are known; the size of the header does
    not change then.

    Args:
        schema: Columns with their metadata, and that of the table.
        columns: How they are stored.
        rows: Number of rows.
        row_bytes: Size of a row.
    """
    from astropy.io import fits

    primary = fits.PrimaryHDU()
    primary.add_checksum()
    header = fits.Header(
        [
            ("XTENSION", "BINTABLE", "binary table"),
            ("BITPIX", 8),
            ("NAXIS", 2),
            ("NAXIS1", row_bytes, "bytes of a row"),
            ("NAXIS2", rows, "number of rows"),
            ("PCOUNT", 0),
            ("GCOUNT", 1),
            ("TFIELDS", len(columns), "number of columns"),
        ]
    )
    for number, (field, column) in enumerate(zip(schema, columns, strict=True), start=1):
        for keyword, value in _describe_column(field, column):
            header[f"{keyword}{number}"] = value
    described = read_metadata(schema.metadata)
    if "name" in described:
        header["EXTNAME"] = _to_ascii(described["name"])
    if "description" in described:
        header["COMMENT"] = _to_ascii(described["description"])
    for key, value in read_parameters(schema).items():
        if not _RESERVED.fullmatch(key.upper()):
            keyword = _TABLE_KEYWORDS.get(key, key)
            if not _KEYWORD.fullmatch(keyword.upper()):
                name = _NOT_IN_KEYWORD.sub("_", keyword)[:_MAX_KEYWORD_CHARACTERS]
                keyword = f"HIERARCH {name or '_'}"
            header[keyword] = _to_card(value)
    header["DATASUM"] = ("0", "sum of the data")
    header["CHECKSUM"] = ("0" * 16, "makes the sum of header and data -0")
    return primary.header, header


def _describe_column(field: pa.Field, column: "Column") -> list[tuple[str, Any]]:
    layout, described = column.layout, read_metadata(field.metadata)
    cards: list[tuple[str, Any]] = [
        ("TTYPE", field.name),
        ("TFORM", _format(column)),
    ]
    dimensions = (column.width, *layout.shape[::-1]) if layout.is_text else layout.shape[::-1]
    if len(dimensions) > 1:
        cards.append(("TDIM", f"({','.join(map(str, dimensions))})"))
    if column.zero:
        cards.append(("TZERO", column.zero))
    if column.null is not None:
        cards.append(("TNULL", column.null))
    if "unit" in described:
        described["unit"] = convert_unit(described["unit"], "fits")
    keywords = [_KEYWORDS[key] for key in described if key in _KEYWORDS]
    texts = [_to_ascii(described[key]) for key in described if key in _KEYWORDS]
    return [*cards, *zip(keywords, texts, strict=True)]


def _format(column: "Column") -> str:
    if column.layout.is_variable:
        return f"1Q{column.code}({column.longest})"
    return f"{column.layout.size * column.width}{column.code}"


def _to_card(value: Parameter) -> Parameter:
    """Return what a card can hold; numbers that are not finite become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return _to_ascii(value) if isinstance(value, str) else value


def _to_ascii(text: str) -> str:
    """Replace what a header cannot hold: line breaks by spaces, letters by question marks."""
    line = " ".join(text.split())
    return "".join(each if each.isascii() and each.isprintable() else "?" for each in line)
