"""Patterns: which optional groups a row has, and which band it lacks.

The accuracy of a model depends on them. What is promised about its predictions is therefore
calibrated for each pattern.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from skyclass.survey.features import MAGNITUDES, InputGroup

NO_GROUPS = "required inputs"
"""Name of the pattern of rows without any optional group."""

_WITHOUT = "without "

Mask = npt.NDArray[np.bool_]


def name_pattern(groups: Iterable[str], missing_bands: Iterable[str] = ()) -> str:
    """Return the name of a pattern.

    A row that lacks a band has one pattern, whatever groups it has.

    Examples:
        >>> name_pattern([InputGroup.WISE, InputGroup.PSF])
        'psf+wise'
        >>> name_pattern([], ["u"])
        'without u'
    """
    if missing := "+".join(sorted(missing_bands, key=MAGNITUDES.index)):
        return _WITHOUT + missing
    present = set(groups)
    return "+".join(group for group in InputGroup if group in present) or NO_GROUPS


def find_missing_bands(inputs: npt.NDArray[np.float64]) -> dict[str, Mask]:
    """Return the rows that lack a band, for each band that any row lacks.

    Args:
        inputs: Shape (n, k), the magnitudes u, g, r, i, z first; NaN is not measured.
    """
    missing = np.isnan(inputs[:, : len(MAGNITUDES)])
    return {
        band: missing[:, number]
        for number, band in enumerate(MAGNITUDES)
        if missing[:, number].any()
    }


def find_patterns(
    rows: int,
    groups: Mapping[InputGroup, Mask],
    missing_bands: Mapping[str, Mask] | None = None,
) -> tuple[list[str], npt.NDArray[np.intp]]:
    """Return the patterns that occur, and the position of each row's pattern among them.

    Args:
        rows: Number of rows.
        groups: Rows that have each group, as returned by `find_groups`.
        missing_bands: Rows that lack each band, as returned by `find_missing_bands`.
    """
    masks = [*groups.items(), *(missing_bands or {}).items()]
    codes = np.zeros(rows, dtype=np.intp)
    for number, (_, mask) in enumerate(masks):
        codes |= mask.astype(np.intp) << number
    if rows and (codes == codes[0]).all():  # as in most requests; unique takes ten times as long
        found, positions = codes[:1], np.zeros(rows, dtype=np.intp)
    else:
        found, positions = np.unique(codes, return_inverse=True)
    names = []
    for code in found:
        members = [name for number, (name, _) in enumerate(masks) if code >> number & 1]
        bands = [name for name in members if name in MAGNITUDES]
        names.append(name_pattern([name for name in members if name not in bands], bands))
    return names, positions
