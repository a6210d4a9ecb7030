"""Columns of text files as numbers, where nothing is lost."""

import pyarrow as pa
import pyarrow.compute as pc

from skyclass.tables.files.numbers import to_texts

_INTEGER = r"^-?(0|[1-9]\d*)$"
_NUMBER = r"^[+-]?(0|[1-9]\d*)?(\.\d*)?([eE][+-]?\d+)?$"
_LONG_INTEGER = r"^[+-]?\d{16,}$"
"""An integer that a 64-bit floating-point number may not represent."""


def parse_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert a column of texts to integers or floating-point numbers, if all of them are.

    A text with a leading zero is an identifier, so its column stays text; so does one of integers
    that 64 bits cannot hold. Empty texts of a column of numbers become null.

    Examples:
        >>> parse_texts(pa.chunked_array([["1237648720693755918", ""]])).type
        DataType(int64)
        >>> parse_texts(pa.chunked_array([["000756"]])).type
        DataType(string)
    """
    texts = to_texts(pc.utf8_trim_whitespace(column))
    if texts.null_count == len(texts):
        return column
    if _all_match(texts, _INTEGER):
        for kind in (pa.int64(), pa.uint64()):
            try:
                return texts.cast(kind)
            except pa.ArrowInvalid:
                continue
        return column
    if (
        not _all_match(texts, _NUMBER)
        or pc.any(pc.match_substring_regex(texts, _LONG_INTEGER)).as_py()
    ):
        return column
    try:
        return texts.cast(pa.float64())
    except pa.ArrowInvalid:  # a lone point or sign
        return column


def _all_match(texts: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, pattern)).as_py())
