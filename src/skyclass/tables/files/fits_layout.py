"""Layout of a table in a FITS file: where its rows begin and how each column is stored.

Source: FITS Standard 4.0, sections 7.2 and 7.3.
"""

import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from skyclass.errors import CatalogError, one_line
from skyclass.tables.files.fits_hdus import Hdu, malformed_error

_MAX_ROW_BYTES = 256 << 20
_FORMAT = re.compile(r"(\d*)([LXBIJKAEDCMPQ])(.*)")
_TEXT_FORMAT = re.compile(r"([AIFED])(\d+)")
_DTYPES = {"L": "u1", "X": "u1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "A": "S"}
_DTYPES |= {"E": ">f4", "D": ">f8", "C": ">f4", "M": ">f8", "P": ">i4", "Q": ">i8"}
_ELEMENTS = {code: np.dtype(_DTYPES[code]) for code in "LBIJKED"}
_ELEMENTS |= {code: np.dtype((_DTYPES[code], (2,))) for code in "CM"}
_IS_GENERIC = re.compile(r"(field )?label\b", re.IGNORECASE)
"""Comments that programs write behind every column name; those of VizieR describe the column."""

_STRUCTURE = re.compile(
    r"XTENSION|SIMPLE|BITPIX|NAXIS\d*|[PG]COUNT|TFIELDS|THEAP|EXTNAME|CHECKSUM|DATASUM|END|EXTEND"
    r"|T(TYPE|FORM|UNIT|NULL|SCAL|ZERO|DISP|DIM|BCOL|UCD|COMM|UTYP|XTYP)\d+|UCD_*\d+|COMMENT"
    r"|HISTORY|"
)


class FitsColumn(NamedTuple):
    """A column of a table.

    Attributes:
        name: Its name; it can be empty.
        code: Letter of its format; for variable-length arrays that of their elements.
        dtype: Type of the stored bytes, with the shape of an array.
        offset: Position in a row (bytes).
        bits: Number of bits of a bit column, else 0.
        is_variable: Whether a row holds the size and the position of an array in the heap.
        element: Type of the stored bytes of an element of such an array.
        scale: Factor from stored to true values.
        zero: True value of the stored 0.
        null: Stored value that means "not measured", if any.
        metadata: Unit, UCD, description and other facts.
    """

    name: str
    code: str
    dtype: np.dtype[Any]
    offset: int
    bits: int
    is_variable: bool
    element: np.dtype[Any]
    scale: float
    zero: float
    null: int | str | None
    metadata: dict[bytes, bytes]


@dataclass(frozen=True)
class FitsLayout:
    """Layout of a table.

    Attributes:
        start: Position of the first row in the file (bytes).
        row_bytes: Bytes of a row.
        rows: Number of rows.
        heap: Position of the variable-length arrays in the file (bytes).
        is_text: Whether the values are stored as text.
        columns: The columns.
        metadata: Name of the table and the keywords of its header that do not describe its layout.
    """

    start: int
    row_bytes: int
    rows: int
    heap: int
    is_text: bool
    columns: tuple[FitsColumn, ...]
    metadata: dict[bytes, bytes]


def read_layout(hdu: Hdu, name: str) -> FitsLayout:
    """Return the layout of a table.

    Args:
        hdu: The table.
        name: Name of the file in messages.

    Raises:
        CatalogError: The header does not describe a table, or describes one that is compressed.
    """
    header = hdu.header
    if header.get("ZTABLE", False):
        raise CatalogError(f"{name}: HDU {hdu} is a compressed table: decompress it with funpack")
    is_text = str(header["XTENSION"]).strip() == "TABLE"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            columns = tuple(_list_columns(header, is_text))
            row_bytes, rows = int(header["NAXIS1"]), int(header["NAXIS2"])
            end = max((each.offset + each.dtype.itemsize for each in columns), default=0)
            if not columns or not 0 < end <= row_bytes <= _MAX_ROW_BYTES or rows < 0:
                raise ValueError(f"{len(columns)} columns of {end} bytes, rows of {row_bytes}")
            heap = hdu.start + int(header.get("THEAP", row_bytes * rows))
            metadata = _list_metadata(hdu)
    except (ValueError, KeyError, TypeError, fits.VerifyError) as error:
        raise malformed_error(name, hdu.number, one_line(error)) from error
    return FitsLayout(hdu.start, row_bytes, rows, heap, is_text, columns, metadata)


def _list_columns(header: fits.Header, is_text: bool) -> Iterator[FitsColumn]:
    offset = 0
    for number in range(1, int(header["TFIELDS"]) + 1):
        text = str(header[f"TFORM{number}"]).strip().upper()
        if is_text:
            code, bits, is_variable = text[:1], 0, False
            dtype, offset = _parse_text_format(text), int(header[f"TBCOL{number}"]) - 1
        else:
            dims = header.get(f"TDIM{number}")
            code, bits, is_variable, dtype = _parse_format(text, str(dims or ""))
        yield FitsColumn(
            str(header.get(f"TTYPE{number}", "")).strip(),
            code,
            dtype,
            offset,
            bits,
            is_variable,
            _ELEMENTS.get(code, np.dtype("u1")),
            float(header.get(f"TSCAL{number}", 1)),
            float(header.get(f"TZERO{number}", 0)),
            header.get(f"TNULL{number}"),
            _describe_column(header, number),
        )
        offset += dtype.itemsize


def _parse_format(text: str, dims: str) -> tuple[str, int, bool, np.dtype[Any]]:
    """Return code, bits, whether arrays vary in length, and stored type of a binary column."""
    found = _FORMAT.match(text)
    if not found:
        raise ValueError(f"format {text!r}")
    repeat, code, rest = int(found[1] or 1), found[2], found[3]
    if code in "PQ":
        if repeat == 0:
            return rest[:1] or "B", 0, False, np.dtype((_DTYPES[code], (0,)))
        if rest[:1] not in tuple("LBIJKAEDCM"):
            raise ValueError(f"format {text!r}")
        return rest[:1], 0, True, np.dtype((_DTYPES[code], (2,)))
    shape = tuple(int(size) for size in re.findall(r"\d+", dims))[::-1]
    if int(np.prod(shape, dtype=object)) != repeat:
        shape = ()
    if code == "X":
        return code, repeat, False, np.dtype(("u1", (-(-repeat // 8),)))
    if code == "A":
        width = shape[-1] if shape else int(rest) if rest.isdigit() and int(rest) else repeat
        shape = shape[:-1] or ((repeat // width,) if width and width < repeat else ())
        return code, 0, False, np.dtype((f"S{width}", shape) if shape else f"S{width}")
    shape = shape or ((repeat,) if repeat != 1 else ())
    if code in "CM":
        shape = (*shape, 2)
    return code, 0, False, np.dtype((_DTYPES[code], shape) if shape else _DTYPES[code])


def _parse_text_format(text: str) -> np.dtype[Any]:
    found = _TEXT_FORMAT.match(text)
    if not found:
        raise ValueError(f"format {text!r}")
    return np.dtype(f"S{found[2]}")


def _describe_column(header: fits.Header, number: int) -> dict[bytes, bytes]:
    """Return the facts of a column that a reader of the table needs and a writer brings back."""
    comment = header.comments[f"TTYPE{number}"] if f"TTYPE{number}" in header else ""
    facts = {
        "unit": header.get(f"TUNIT{number}"),
        "ucd": header.get(f"TUCD{number}") or header.get(f"UCD{number:_>3}"),  # VizieR: UCD__1
        "description": header.get(f"TCOMM{number}")
        or ("" if _IS_GENERIC.match(comment) else comment),
        "utype": header.get(f"TUTYP{number}"),
        "xtype": header.get(f"TXTYP{number}"),
        "null": header.get(f"TNULL{number}"),
        "display": header.get(f"TDISP{number}"),
        "format": header.get(f"TFORM{number}"),
    }
    return {
        key.encode(): str(value).strip().encode()
        for key, value in facts.items()
        if value is not None and str(value).strip()
    }


def _list_metadata(hdu: Hdu) -> dict[bytes, bytes]:
    keywords = {
        card.keyword: card.value
        for card in hdu.header.cards
        if not _STRUCTURE.fullmatch(card.keyword) and isinstance(card.value, str | int | float)
    }
    metadata = {b"name": hdu.name.encode()} if hdu.name else {}
    return metadata | ({b"meta": json.dumps(keywords).encode()} if keywords else {})
