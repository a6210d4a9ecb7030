"""Features of logged rows and of the rows of a reference, as the predictor computes them.

The log has the inputs that clients sent, so extinctions are filled from the dust map again.
"""

import io

import numpy as np
import numpy.typing as npt
import pandas as pd

from skyclass.registry.releases import DUST_MAP, Registry, Release
from skyclass.survey.dust import DustMap, fill_extinction
from skyclass.survey.features import ALL_INPUTS, Mode, make_features


def read_dust_map(registry: Registry, release: Release) -> DustMap | None:
    """Read the dust map of a release; None if it has none.

    Raises:
        ReleaseError: The file is missing or damaged.
        StoreError: The object store failed.
    """
    if all(entry.path != DUST_MAP for entry in release.manifest.files):
        return None
    data = registry.read_file(release, DUST_MAP)
    return DustMap(np.lib.format.read_array(io.BytesIO(data), allow_pickle=False))


def compute_features(
    rows: pd.DataFrame, mode: Mode, names: tuple[str, ...], dust_map: DustMap | None
) -> npt.NDArray[np.float32]:
    """Compute the features of a release.

    Args:
        rows: Rows with the inputs of the mode; absent optional columns are not measured.
        mode: Mode of the release.
        names: Features of the release.
        dust_map: Dust map of the release, if it has one.

    Returns:
        Shape (n, len(names)).
    """
    inputs = rows.reindex(columns=list(ALL_INPUTS[mode])).to_numpy(np.float64)
    return make_features(fill_extinction(inputs, mode, dust_map), mode, names)
