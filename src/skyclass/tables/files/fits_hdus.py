"""Headers of a FITS file.

Source: FITS Standard 4.0, sections 3 and 4.
"""

import re
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from skyclass.errors import CatalogError, one_line

BLOCK_BYTES = 2880
"""Headers and data are multiples of it."""

_MAX_HEADER_BLOCKS = 10_000
_SKIP_BYTES = 1 << 20
_END = re.compile(rb"(?:.{80})*?END {77}", re.DOTALL)


class Hdu(NamedTuple):
    """A header with its data unit.

    Attributes:
        number: Its number from 0.
        header: The header.
        start: Position of the data in the file (bytes).
        name: Its name; it can be empty.
        is_table: Whether it holds a table; compressed images are stored as tables but are none.
    """

    number: int
    header: fits.Header
    start: int
    name: str
    is_table: bool

    def matches(self, choice: str) -> bool:
        """Return whether a number or a name selects it."""
        return choice == str(self.number) or choice.casefold() == self.name.casefold() != ""

    def __str__(self) -> str:
        return f"{self.number} ({self.name})" if self.name else str(self.number)


def list_hdus(file: Any, name: str) -> Iterator[Hdu]:
    """Read the headers of a file one after the other, without the data between them.

    Args:
        file: The decompressed bytes, at their start.
        name: Name of the file in messages.

    Raises:
        CatalogError: The file is not FITS, or a header is malformed or truncated.
    """
    number, position = 0, 0
    while header := _read_header(file, name, is_first=number == 0):
        text, blocks = header
        position += blocks * BLOCK_BYTES
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AstropyWarning)
                hdu = _make_hdu(number, fits.Header.fromstring(text), position)
                size = _find_data_bytes(hdu.header)
        except (ValueError, KeyError, TypeError, fits.VerifyError) as error:
            raise malformed_error(name, number, one_line(error)) from error
        yield hdu
        skip_bytes(file, position, position + size)
        number, position = number + 1, position + size


def skip_bytes(file: Any, start: int, end: int) -> None:
    """Move forward from a position to another one, by reading if the file is a stream."""
    if file.seekable():
        file.seek(end)
        return
    while start < end and (data := file.read(min(end - start, _SKIP_BYTES))):
        start += len(data)


def malformed_error(name: str, number: int, reason: str) -> CatalogError:
    """Return the error for a header that cannot be interpreted."""
    return CatalogError(f"{name}: the header of HDU {number} is malformed ({reason}): rewrite it")


def _read_header(file: Any, name: str, is_first: bool) -> tuple[str, int] | None:
    """Return the text of a header and its number of blocks; None at the end of the file."""
    start = file.read(BLOCK_BYTES)
    if is_first and not start.startswith(b"SIMPLE  ="):
        raise CatalogError(f"{name}: not FITS (it does not begin with SIMPLE): check the suffix")
    if not is_first and not start.startswith(b"XTENSION"):
        return None  # nothing, or special records that are not described by a header
    blocks = [start]
    while not _END.match(blocks[-1]):
        block = file.read(BLOCK_BYTES)
        if len(block) < BLOCK_BYTES or len(blocks) == _MAX_HEADER_BLOCKS:
            raise CatalogError(f"{name}: the FITS header has no end: the file is truncated")
        blocks.append(block)
    return b"".join(blocks).decode("latin-1"), len(blocks)


def _make_hdu(number: int, header: fits.Header, start: int) -> Hdu:
    kind = str(header.get("XTENSION", "")).strip()
    is_table = kind in ("BINTABLE", "A3DTABLE", "TABLE") and not header.get("ZIMAGE", False)
    return Hdu(number, header, start, str(header.get("EXTNAME", "")).strip(), is_table)


def _find_data_bytes(header: fits.Header) -> int:
    """Return the size of the data unit, whole blocks."""
    shape = [int(header[f"NAXIS{axis + 1}"]) for axis in range(int(header["NAXIS"]))]
    if shape and shape[0] == 0 and header.get("GROUPS", False):
        shape = shape[1:]
    items = int(header.get("PCOUNT", 0)) + (int(np.prod(shape, dtype=object)) if shape else 0)
    size = abs(int(header["BITPIX"])) // 8 * int(header.get("GCOUNT", 1)) * items
    if size < 0:
        raise ValueError(f"a data unit of {size} bytes")
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES
