"""Checksums of FITS: the sum of all 32-bit words in ones' complement.

Source: FITS Standard 4.0, section 4.4.2.7 and appendix J.
"""

import numpy as np

_WORD = 2**32
_EXCLUDED = (*range(0x3A, 0x41), *range(0x5B, 0x61))
"""ASCII punctuation between digits, capitals and small letters."""


class Checksum:
    """A sum that grows with the bytes of a header or its data.

    Each part begins at a multiple of four bytes of the file.
    """

    def __init__(self) -> None:
        self._sum = 0
        self._rest = b""

    @property
    def value(self) -> int:
        """The sum of the whole words so far."""
        return self._sum

    def add(self, data: bytes) -> None:
        """Add bytes; the last incomplete word is added with the bytes that follow."""
        data = self._rest + data
        whole = len(data) // 4 * 4
        self._rest = data[whole:]
        total = self._sum + int(np.frombuffer(data[:whole], ">u4").sum(dtype=np.uint64))
        while total >= _WORD:
            total = total % _WORD + total // _WORD
        self._sum = total


def encode_checksum(value: int) -> str:
    """Encode the complement of a sum as 16 letters and digits.

    The header with this text as CHECKSUM, and the data behind it, have the sum -0.
    """
    complement = _WORD - 1 - value
    encoded = np.zeros((4, 4), dtype=int)  # four characters for each byte
    for place, byte in enumerate(complement.to_bytes(4, "big")):
        characters = [byte // 4 + ord("0")] * 4
        characters[0] += byte % 4
        while any(character in _EXCLUDED for character in characters):
            for pair in (0, 2):
                if characters[pair] in _EXCLUDED or characters[pair + 1] in _EXCLUDED:
                    characters[pair] += 1
                    characters[pair + 1] -= 1
        encoded[:, place] = characters
    text = "".join(map(chr, encoded.ravel()))
    return text[-1] + text[:-1]  # the value begins at the last byte of a word
