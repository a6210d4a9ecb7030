"""Compressed request bodies: gzip and deflate, the encodings that tritonclient sends."""

import zlib
from collections.abc import Mapping

from skyclass.serving.errors import RequestError, quote

_GZIP, _ZLIB = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS
_FORMATS: Mapping[bytes, int] = {b"gzip": _GZIP, b"x-gzip": _GZIP, b"deflate": _ZLIB}
"""Format of each encoding (RFC 9110, section 8.4.1), as zlib numbers them."""


def decompress(body: bytes, encoding: bytes, limit: int) -> bytes:
    """Decompress a request body, in memory of at most `limit` bytes.

    Args:
        body: The body as it was sent.
        encoding: Value of the header Content-Encoding.
        limit: Limit on the size of the result.

    Raises:
        RequestError: 415, the encoding is unknown; 413, the result exceeds the limit; or 400, the
            body is truncated or corrupt.
    """
    encoding = encoding.strip().lower()
    if encoding == b"identity":
        return body
    name = encoding.decode("latin-1")
    if encoding not in _FORMATS:
        raise RequestError(
            415,
            f"the content encoding is {quote(name)}, expected gzip, deflate or none",
            ((b"accept-encoding", b"gzip, deflate"),),
        )
    decompressor = zlib.decompressobj(_FORMATS[encoding])
    try:
        result = decompressor.decompress(body, limit + 1)
    except zlib.error:
        raise RequestError(
            400, f"the body is not {name}: compress it again, or send it uncompressed"
        ) from None
    if len(result) > limit:
        raise RequestError(
            413, f"the body is larger than {limit} bytes when decompressed: split the request"
        )
    if not decompressor.eof:
        raise RequestError(400, f"the {name} body is truncated after {len(body)} bytes: send all")
    if rest := len(decompressor.unused_data):
        raise RequestError(400, f"the {name} body has {rest} bytes after its end: remove them")
    return result
