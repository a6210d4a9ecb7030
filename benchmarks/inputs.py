"""What more inputs are worth on real rows: `python -m benchmarks.inputs FOLDER`.

The peer is the same algorithm, fitted on u, g, r, i, z alone. FOLDER holds the files of `SETS`,
which are not part of the repository. Rows are compared within a set only: the sets select other
objects, A and B are dereddened, and C is not SDSS.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import f1_score, log_loss
from sklearn.model_selection import train_test_split

from benchmarks.replay.models import make_dataset, read_labelled_observations
from skyclass.registry.models import Engine
from skyclass.sources.dust_map import read_dust_map
from skyclass.survey.features import (
    GROUP_INPUTS,
    MAGNITUDES,
    OPTIONAL_INPUTS,
    InputGroup,
    Mode,
    make_features,
)
from skyclass.survey.observation import CLASSES, NOT_MEASURED, POSITION, most_probable_classes
from skyclass.training.calibration import expected_calibration_error
from skyclass.training.candidates import CANDIDATES
from skyclass.training.dataset import Dataset
from skyclass.training.fit import fit
from skyclass.training.fitted_models import load_fitted_models
from skyclass.training.masking import remove_band, remove_group

MODE = Mode.PHOTOMETRIC
CANDIDATE = "forest_and_boosting"
TEST_SHARE = 0.2


@dataclass(frozen=True)
class SplitDataset(Dataset):
    """A dataset whose hold-out is a given split, for rows without a key.

    Attributes:
        held_out: Mask of the hold-out, shape (n,).
    """

    held_out: npt.NDArray[np.bool_] | None = None

    @property
    def random_holdout(self) -> npt.NDArray[np.bool_]:
        """Mask of the random hold-out, shape (n,)."""
        return super().random_holdout if self.held_out is None else self.held_out

    @property
    def has_temporal_model(self) -> bool:
        """No temporal model is fitted: most sets have no nights."""
        return False


def read_dr17(path: Path) -> pd.DataFrame:
    """Read DR17 rows, with their positions."""
    return read_labelled_observations(path, MODE)


def read_set_a(path: Path) -> pd.DataFrame:
    """Read dereddened magnitudes with type and errors.

    Only sources that were not selected by type: elsewhere, stars and quasars are all extended.
    """
    rows = pd.read_csv(path).drop(columns="z")  # the redshift
    rows = rows[rows["source"].str.endswith("_nophotoZ")]
    return rows.rename(columns={f"dered_{band}": band for band in MAGNITUDES})


def read_set_b(path: Path) -> pd.DataFrame:
    """Read dereddened model and PSF magnitudes."""
    names = {f"dered_{band}": band for band in MAGNITUDES}
    names |= {f"dered_psf_{band}": f"psf_{band}" for band in MAGNITUDES}
    return pd.read_csv(path).rename(columns=names)


W1_AB, W2_AB = 2.699, 3.339
"""AB minus Vega (mag; Jarrett et al. 2011): the colours of the set are in AB."""


def read_set_c(path: Path) -> pd.DataFrame:
    """Read VST ATLAS and WISE: the bands follow from r and the colours."""
    rows = pd.read_csv(path).rename(columns={"rmagC": "r"})
    rows["g"] = rows["r"] + rows["gmr"]
    rows["u"] = rows["g"] + rows["umg"]
    rows["i"] = rows["r"] - rows["rmi"]
    rows["z"] = rows["i"] - rows["imz"]
    w1 = rows["r"] - rows["rmw1"]
    rows["w1"], rows["w2"] = w1 - W1_AB, w1 - rows["w1m2"] - W2_AB
    labels = rows["label"].replace({"WHITE_DWARF": "STAR"})
    return rows.assign(**{"class": labels})


SETS: Mapping[str, tuple[str, Callable[[Path], pd.DataFrame], tuple[InputGroup, ...]]] = {
    "DR17": ("sdss_dr17_20k.csv", read_dr17, (InputGroup.EXTINCTION,)),
    "A": ("inputs/life_sdss.csv.gz", read_set_a, (InputGroup.TYPE, InputGroup.ERRORS)),
    "B": ("inputs/ahw14_sdss.csv.gz", read_set_b, (InputGroup.PSF,)),
    "C": ("inputs/vst_atlas.csv.gz", read_set_c, (InputGroup.WISE,)),
}
"""File, reader and groups of each set."""


def make_split(rows: pd.DataFrame, groups: Sequence[InputGroup], seed: int | None) -> SplitDataset:
    """Return rows as a dataset with the optional inputs of some groups.

    Args:
        rows: Magnitudes, optional inputs and `class`.
        groups: Groups to keep. Positions are kept for the dust map if they have the extinction.
        seed: Seed of the stratified hold-out; None for the hold-out of the keys.
    """
    used = [name for group in groups for name in GROUP_INPUTS[group] if name in rows]
    rows = rows.replace(NOT_MEASURED, np.nan).dropna(subset=[*MAGNITUDES, "class"])
    absent = {name: 0 for name in ("plate", "mjd", "fiber_id") if name not in rows}
    unused = [name for name in OPTIONAL_INPUTS[MODE] if name in rows and name not in used]
    dataset = make_dataset(rows.drop(columns=unused).assign(**absent), MODE, 0)
    held_out = None
    if seed is not None:
        _, test = train_test_split(
            np.arange(len(rows)), test_size=TEST_SHARE, stratify=rows["class"], random_state=seed
        )
        held_out = np.isin(np.arange(len(rows)), test)
    dust_map = read_dust_map() if set(POSITION) <= set(used) else None
    return SplitDataset(dataset.rows, dataset.summary, MODE, dust_map, held_out)


def measure(dataset: SplitDataset, seed: int) -> pd.DataFrame:
    """Fit the peer and the wide model, and return their metrics on the hold-out."""
    train, test = ~dataset.random_holdout, dataset.random_holdout
    labels = dataset.labels
    peer = CANDIDATES[CANDIDATE].make(seed).fit(dataset.features[train], labels[train])
    found = {"peer, ugriz": _score(labels[test], peer.predict_proba(dataset.features[test]))}
    with TemporaryDirectory() as name:
        summary = fit(dataset, [CANDIDATE], seed, Path(name), budget_seconds=0)
        engine = load_fitted_models(Path(name)).release
    inputs, names = dataset.filled_inputs[test], summary.inputs.features

    def predict(values: npt.NDArray[np.float64], model: Engine = engine) -> list[float]:
        return _score(labels[test], model(make_features(values, MODE, names)))

    found[f"+ {', '.join(summary.inputs.groups)}"] = predict(inputs)
    alone = inputs
    for group in summary.inputs.groups:
        alone = remove_group(alone, MODE, group)
    found["ugriz alone"] = predict(alone)
    for band in summary.inputs.bands:
        found[f"+ all but {band}"] = predict(remove_band(inputs, MODE, band))
    return pd.DataFrame(found, index=["macro-F1", "accuracy", "log-loss", "cal. error"]).T


def _score(labels: npt.NDArray[np.object_], probabilities: npt.NDArray[np.float64]) -> list[float]:
    predicted = most_probable_classes(probabilities)
    return [
        float(f1_score(labels, predicted, average="macro")),
        float((predicted == labels).mean()),
        float(log_loss(labels, probabilities, labels=list(CLASSES))),
        expected_calibration_error(labels, probabilities),
    ]


def main() -> None:
    """Measure the sets and print a table of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    for name in given.sets:
        file, read, groups = SETS[name]
        rows = read(given.folder / file)
        # The hold-out of DR17 follows from the keys, so the seed only selects the fits.
        splits = [
            make_split(rows, groups, None if name == "DR17" else seed) for seed in given.seeds
        ]
        tables = [measure(split, seed) for split, seed in zip(splits, given.seeds, strict=True)]
        joined = pd.concat(tables).groupby(level=0, sort=False)
        means, deviations = joined.mean(), joined.std(ddof=0)["macro-F1"].rename("±")
        table = pd.concat([means, deviations], axis=1)
        sys.stdout.write(
            f"\nSet {name}: {len(splits[0].rows):,} rows, {splits[0].random_holdout.sum():,} held "
            f"out, seeds {given.seeds}\n{table.to_string(float_format='{:.4f}'.format)}\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
