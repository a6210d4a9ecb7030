"""Text that is not UTF-8."""

import pyarrow as pa


def replace_invalid_utf8(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of text with U+FFFD in place of bytes that are not UTF-8.

    A damaged value is then rejected with its row, and not with the whole file. Other columns are
    returned as they are; a dictionary of texts with damaged ones is returned as text.
    """
    is_encoded = pa.types.is_dictionary(column.type)
    kind = column.type.value_type if is_encoded else column.type
    if kind not in (pa.string(), pa.large_string()):
        return column
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        chunks = [each.dictionary_decode() if is_encoded else each for each in column.chunks]
        values = pa.chunked_array(chunks, kind).cast(pa.large_binary()).to_pylist()
        texts = [value if value is None else value.decode(errors="replace") for value in values]
        return pa.chunked_array([pa.array(texts, kind)])
    return column
