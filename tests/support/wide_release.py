"""A tiny photometric release that uses every group of optional inputs, and rows for it."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from skyclass.registry.libraries import get_library_versions
from skyclass.registry.manifest import BandScores
from skyclass.registry.models import make_joblib_engine
from skyclass.registry.releases import (
    DOMAIN,
    DUST_MAP,
    JOBLIB_MODEL,
    ONNX_MODEL,
    REFERENCE,
    Release,
)
from skyclass.sources.dust_map import read_dust_map
from skyclass.survey.dust import fill_extinction
from skyclass.survey.features import (
    ALL_INPUTS,
    FEATURES,
    GROUP_FEATURES,
    GROUP_INPUTS,
    MAGNITUDES,
    OPTIONAL_INPUTS,
    InputGroup,
    Mode,
    make_features,
)
from skyclass.survey.observation import CLASSES
from skyclass.training.export import export
from skyclass.training.uncertainty.calibration_rows import predict_patterns
from skyclass.training.uncertainty.conformal import calibrate_label_sets
from skyclass.training.uncertainty.domain_fit import fit_domain
from skyclass.training.uncertainty.purity_cuts import find_purity_cuts
from tests.support.monitoring import write_reference
from tests.support.predictor import Site, simulated
from tests.support.releases import draft

MODE = Mode.PHOTOMETRIC
NAMES = (*FEATURES[MODE], *(name for names in GROUP_FEATURES.values() for name in names))
MISSING_BAND = "u"
"""The magnitude that the release can do without."""


def simulate_groups(size: int, seed: int = 0) -> pd.DataFrame:
    """Return simulated observations with every optional input; each group is absent from a part."""
    rng = np.random.default_rng(seed)
    rows = simulated(size, seed).reset_index(drop=True)
    extended = (rows["class"] == "GALAXY").to_numpy()
    columns: dict[str, object] = {"extinction_r": rng.uniform(0.02, 0.5, size)}
    for band in MAGNITUDES:
        columns[f"psf_{band}"] = rows[band] + extended * rng.uniform(0.1, 0.6, size)
        columns[f"err_{band}"] = 10 ** ((rows[band] - 22) / 5 - 1) + 0.005
    columns["type"] = np.where(extended, 3.0, 6.0)
    w1 = rows["r"] - rng.normal(2, 0.3, size) - extended
    columns |= {"w1": w1, "w2": w1 - rng.normal(0.3, 0.2, size)}
    rows = rows.assign(**columns)
    for group, names in GROUP_INPUTS.items():
        names = ("extinction_r",) if group is InputGroup.EXTINCTION else names
        rows.loc[rng.random(size) < 0.4, list(names)] = np.nan
    return rows[[*ALL_INPUTS[MODE], "class"]]


def publish_wide(site: Site, folder: Path, **changes: object) -> Release:
    """Train a tiny model on all groups and publish it, with all that belongs to a release."""
    rows = simulate_groups(2000)
    dust_map = read_dust_map()
    inputs = fill_extinction(rows[list(ALL_INPUTS[MODE])], MODE, dust_map)
    features = make_features(inputs, MODE, NAMES)
    fitted, held_out = features[:1500], features[1500:]
    labels = rows["class"].to_numpy()
    model = HistGradientBoostingClassifier(max_iter=8, max_leaf_nodes=8, random_state=0)
    parity = export(model.fit(fitted, labels[:1500]), fitted, folder, missing=True)
    assert parity.passed, parity.reason
    codes = np.array([CLASSES.index(name) for name in labels[1500:]])
    patterns = predict_patterns(
        held_out, NAMES, codes, make_joblib_engine(model), missing_bands=[MISSING_BAND]
    )
    domain = fit_domain(fitted, held_out, NAMES, seed=0)
    assert domain is not None
    dust_map.save(folder / DUST_MAP)
    (folder / DOMAIN).write_bytes(domain.to_bytes())
    manifest = draft(
        MODE,
        **{
            "libraries": get_library_versions(),
            "parity": parity,
            "features": NAMES,
            "missing_bands": {MISSING_BAND: BandScores(rows=500, accuracy=0.8, macro_f1=0.8)},
            "label_sets": calibrate_label_sets(patterns),
            "purity_cuts": find_purity_cuts(patterns),
            **changes,
        },
    )
    write_reference(folder, rows[1500:])
    names = (JOBLIB_MODEL, ONNX_MODEL, DUST_MAP, DOMAIN, REFERENCE)
    return site.registry.publish(manifest, {name: folder / name for name in names})


def mask_values(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Return rows without random values of their optional inputs."""
    rng = np.random.default_rng(seed)
    optional = list(OPTIONAL_INPUTS[MODE])
    absent = rng.random((len(rows), len(optional))) < 0.3
    return rows.assign(**rows[optional].mask(absent))
