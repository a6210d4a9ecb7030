"""Conversion of NumPy arrays with missing values to Arrow."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def make_array(values: npt.NDArray[Any], missing: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Convert an array; each further dimension becomes a fixed-size list.

    Args:
        values: Shape (n, …), numbers or bytes of any byte order. Bytes are text that ends before
            the first zero byte and before trailing spaces.
        missing: Mask of the same shape of the values that become null; None for none.

    Returns:
        An array of length n.
    """
    if values.ndim > 1:
        size = values.shape[1]
        if size == 0:
            return pa.nulls(len(values))
        flat = (-1, *values.shape[2:])
        inner = make_array(values.reshape(flat), None if missing is None else missing.reshape(flat))
        return pa.FixedSizeListArray.from_arrays(inner, size)
    if values.dtype.kind == "S":
        return _make_texts(values, missing)
    values = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
    return pa.array(values, mask=missing)


def _make_texts(values: npt.NDArray[np.bytes_], missing: npt.NDArray[np.bool_] | None) -> pa.Array:
    if values.dtype.itemsize == 0:
        return pa.nulls(len(values))
    texts = pa.array(np.ascontiguousarray(values), pa.binary(), mask=missing)
    try:
        texts = texts.cast(pa.string())
    except pa.ArrowInvalid:  # the standard allows only ASCII
        decoded = [None if text is None else text.decode("latin-1") for text in texts.to_pylist()]
        texts = pa.array(decoded, pa.string())
    return pc.utf8_rtrim(texts, " ")
