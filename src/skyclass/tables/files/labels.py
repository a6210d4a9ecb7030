"""Class labels, as names or as codes whose meaning is given."""

import re
from collections.abc import Mapping

import pyarrow as pa

from skyclass.errors import CatalogError
from skyclass.survey.observation import CLASSES
from skyclass.tables.files.numbers import to_texts

_CODE = re.compile(r"-?\d+(\.0*)?")  # integers beside a null are stored as floats


def decode_labels(
    column: pa.ChunkedArray, codes: Mapping[str, str], name: str
) -> tuple[pa.Array, int]:
    """Decode the labels of a column.

    Args:
        column: Labels of any type.
        codes: Class of each code.
        name: Name of the file in messages.

    Returns:
        The labels as text, shape (n,), and how many of them were codes. Text that is neither a
        class nor a code is returned as it is; a missing label is null.

    Raises:
        CatalogError: The labels are numbers, and `codes` is empty.
    """
    encoded = to_texts(column).combine_chunks().dictionary_encode()
    values = [value.strip() for value in encoded.dictionary.to_pylist()]
    numbers = [value for value in values if _CODE.fullmatch(value)]
    if numbers and not codes:
        raise CatalogError(
            f"{name}: the classes are the numbers {', '.join(sorted(numbers))}: give the classes "
            f"of 0, 1 and 2 in this order, for example `?classes={','.join(CLASSES)}`"
        )
    keys = [value.partition(".")[0] if value in numbers else value for value in values]
    labels = pa.array([codes.get(key, key) for key in keys], pa.string())
    is_code = pa.array([key in codes for key in keys], pa.bool_())
    return labels.take(encoded.indices), is_code.take(encoded.indices).true_count


def parse_classes(text: str, name: str) -> dict[str, str]:
    """Parse the option `classes`: the classes of the codes 0, 1, 2, separated by commas.

    Raises:
        CatalogError: A class is unknown or occurs twice.
    """
    classes = [part.strip().upper() for part in text.split(",")]
    if sorted(classes) != sorted(CLASSES):
        raise CatalogError(
            f"{name}: classes is {text!r}, expected {', '.join(CLASSES)} in the order of the codes"
        )
    return {str(code): label for code, label in enumerate(classes)}
