"""Objects of a user's file: which are explained, and with which values."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from skyclass.errors import CatalogError
from skyclass.registry.releases import Release
from skyclass.survey.features import ALL_INPUTS, INPUTS
from skyclass.survey.observation import KEY, NOT_MEASURED
from skyclass.tables.objects import Objects

MAX_OBJECTS = 100
"""Most objects that are explained in one call; each takes up to two seconds."""


def select_objects(
    objects: Objects, numbers: Sequence[int], keys: Sequence[tuple[int, ...]]
) -> list[int]:
    """Return the positions of the objects to explain: those named, or all of a small file.

    Args:
        objects: The objects of a file.
        numbers: Numbers of objects in the file, from 1.
        keys: Values of plate, mjd and fiber_id.

    Raises:
        CatalogError: An object is not in the file, or there are more than `MAX_OBJECTS`.
    """
    name, count = objects.file.name, len(objects.inputs)
    for number in numbers:
        if not 1 <= number <= count:
            raise CatalogError(f"{name}: no object {number}: choose 1 to {count:,}")
    positions = [number - 1 for number in numbers]
    for key in keys:
        positions += _find_key(objects, key)
    if not (numbers or keys):
        positions = list(range(count))
    if len(positions) > MAX_OBJECTS:
        raise CatalogError(
            f"{name}: {len(positions):,} objects, at most {MAX_OBJECTS} are explained: choose some "
            "with --row or --key"
        )
    return positions


def make_inputs(
    objects: Objects, positions: Sequence[int], release: Release
) -> npt.NDArray[np.float64]:
    """Return the inputs of objects in the order of `ALL_INPUTS`, NaN where not measured.

    Args:
        objects: The objects of a file.
        positions: Positions of the objects.
        release: The release that classifies them.

    Raises:
        CatalogError: An object lacks an input without which the release does not classify.
    """
    mode = release.mode
    rows = objects.inputs.reindex(columns=list(ALL_INPUTS[mode])).astype("float64")
    rows = rows.iloc[list(positions)]
    rows = rows.mask(rows == NOT_MEASURED)
    known = release.manifest.missing_bands
    is_missing = rows[list(INPUTS[mode])].isna().to_numpy()
    for position, row in zip(positions, is_missing, strict=True):
        missing = [name for name, is_absent in zip(INPUTS[mode], row, strict=True) if is_absent]
        if missing and not (len(missing) == 1 and missing[0] in known):
            raise CatalogError(
                f"{objects.locate(position)}: {', '.join(missing)} not measured: choose another "
                "object"
            )
    return rows.to_numpy()


def _find_key(objects: Objects, key: tuple[int, ...]) -> list[int]:
    name = objects.file.name
    if not set(KEY) <= set(objects.inputs.columns):
        raise CatalogError(f"{name}: no columns {', '.join(KEY)}: choose objects with --row")
    is_found = (objects.inputs[list(KEY)] == list(key)).all(axis=1)
    found = np.flatnonzero(is_found.fillna(False)).tolist()
    if not found:
        text = ", ".join(f"{column} {value}" for column, value in zip(KEY, key, strict=True))
        raise CatalogError(f"{name}: no object with {text}: check the numbers")
    return found
