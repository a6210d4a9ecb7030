"""Users' own tables: files of any origin, read by position and without loss.

Every command, the client and the pages read files here, so that they accept the same files and
report the same errors.
"""

from skyclass.tables.files.base import Chunk, TableFile
from skyclass.tables.files.cells import read_integers, read_numbers
from skyclass.tables.files.columns import find_columns, is_dereddened
from skyclass.tables.files.labels import decode_labels, parse_classes
from skyclass.tables.files.numbers import parse_numbers, to_texts
from skyclass.tables.files.open import open_table
from skyclass.tables.files.options import TABLE_OPTIONS, Options, split_options

__all__ = [
    "TABLE_OPTIONS",
    "Chunk",
    "Options",
    "TableFile",
    "decode_labels",
    "find_columns",
    "is_dereddened",
    "open_table",
    "parse_classes",
    "parse_numbers",
    "read_integers",
    "read_numbers",
    "split_options",
    "to_texts",
]
