"""Features of logged rows and of the rows of a reference, as the predictor computes them.

The log has the inputs that clients sent, so extinctions are filled from the dust map again.
"""

import io

import numpy as np
import numpy.typing as npt
import pandas as pd

from skyclass.registry.releases import DUST_MAP, Registry, Release
from skyclass.survey.dust import DustMap, fill_extinction
from skyclass.survey.features import ALL_INPUTS, make_features


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
    rows: pd.DataFrame, release: Release, dust_map: DustMap | None
) -> npt.NDArray[np.float32]:
    """Compute the features of a release.

    Args:
        rows: Rows with the inputs of the release's mode; absent optional columns are not measured.
        release: The release.
        dust_map: Its dust map.

    Returns:
        Shape (n, len(features of the manifest)).
    """
    names = ALL_INPUTS[release.mode]
    inputs = rows.reindex(columns=list(names)).to_numpy(np.float64)
    filled = fill_extinction(inputs, release.mode, dust_map)
    return make_features(filled, release.mode, release.manifest.features)
