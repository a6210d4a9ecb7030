"""Text that is not UTF-8."""

import pyarrow as pa


def replace_invalid_utf8(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of text with U+FFFD in place of bytes that are not UTF-8.

    A damaged value is then rejected with its row, and not with the whole file.
    """
    if column.type not in (pa.string(), pa.large_string()):
        return column
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        values = column.cast(pa.large_binary()).to_pylist()
        texts = [value if value is None else value.decode(errors="replace") for value in values]
        return pa.chunked_array([pa.array(texts, column.type)])
    return column
