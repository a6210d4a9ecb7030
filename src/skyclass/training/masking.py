"""Removal of measured inputs, so that one model learns to predict rows that lack some of them.

A value that is missing must not betray the class. Inputs are therefore removed until every class
lacks them equally often, and then at random.
"""

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from skyclass.survey.features import ALL_INPUTS, GROUP_FEATURES, GROUP_INPUTS, InputGroup, Mode

ALL_GROUPS_SHARE = 0.35
"""Share of the rows from which all groups are removed: most callers send u, g, r, i, z only."""
GROUP_SHARE = 0.15
"""Share of the rows from which a group is removed, each group for itself. More rows with all groups
or none are better for both kinds than more rows with some."""
BAND_SHARE = 0.025
"""Share of the rows from which each band is removed. With twice as many, the log-loss of complete
rows rises by more than its noise."""

OPTIONAL_BANDS: dict[Mode, tuple[str, ...]] = {
    Mode.SPECTROSCOPIC: (),
    Mode.PHOTOMETRIC: ("u", "z"),
}
"""Bands that a row may lack. Without an inner band two colours are lost: no model reached the
floors of a release then."""

Inputs = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def remove_group(inputs: Inputs, mode: Mode, group: InputGroup) -> Inputs:
    """Return a copy of inputs, of shape (n, len(ALL_INPUTS[mode])), without a group."""
    return _remove(inputs, mode, GROUP_INPUTS[group], np.ones(len(inputs), bool))


def remove_band(inputs: Inputs, mode: Mode, band: str) -> Inputs:
    """Return a copy of inputs, of shape (n, len(ALL_INPUTS[mode])), without a band.

    Its PSF magnitude and its error are removed too: they are measured together.
    """
    return _remove(inputs, mode, _list_inputs_of_band(band), np.ones(len(inputs), bool))


def mask_inputs(
    inputs: Inputs,
    labels: npt.NDArray[np.object_],
    mode: Mode,
    groups: Collection[InputGroup],
    bands: Collection[str],
    seed: int,
) -> Inputs:
    """Return a copy of the inputs of training rows from which some were removed.

    Args:
        inputs: Shape (n, len(ALL_INPUTS[mode])); NaN where an input was not measured.
        labels: Class names, shape (n,).
        mode: Mode of the model.
        groups: Groups that the model uses.
        bands: Bands that a row may lack.
        seed: Selects what is removed.
    """
    random = np.random.default_rng(seed)
    columns = {name: number for number, name in enumerate(ALL_INPUTS[mode])}
    has_none = random.random(len(inputs)) < ALL_GROUPS_SHARE
    for group in groups:
        used = [name for name in GROUP_INPUTS[group] if _is_used(name, group)]
        measured = ~np.isnan(inputs[:, [columns[name] for name in used]])
        has_group = np.logical_or.reduce(measured, axis=1)
        chosen = has_none | (random.random(len(inputs)) < GROUP_SHARE)
        chosen |= _balance(has_group, labels, random)
        inputs = _remove(inputs, mode, GROUP_INPUTS[group], chosen)
        rest = has_group & ~chosen
        for name, of_input in zip(used, measured.T, strict=True):
            removed = np.zeros(len(inputs), bool)
            removed[rest] = _balance(of_input[rest], labels[rest], random)
            inputs = _remove(inputs, mode, (name,), removed)
    which = random.random(len(inputs)) // BAND_SHARE
    for number, band in enumerate(bands):
        inputs = _remove(inputs, mode, _list_inputs_of_band(band), which == number)
    return inputs


def _balance(measured: Mask, labels: npt.NDArray[np.object_], random: np.random.Generator) -> Mask:
    """Choose measured rows to remove, so that all classes have the same share of measured rows."""
    shares = {name: float(measured[labels == name].mean()) for name in np.unique(labels)}
    lowest = min(shares.values(), default=0.0)
    kept = np.array([lowest / shares[name] if shares[name] else 1.0 for name in labels])
    return measured & (random.random(len(measured)) >= kept)


def _is_used(name: str, group: InputGroup) -> bool:
    """Return whether a feature of the group is computed from the input; positions are not."""
    return any(name in feature.split("-") for feature in GROUP_FEATURES[group])


def _list_inputs_of_band(band: str) -> tuple[str, ...]:
    return (band, f"psf_{band}", f"err_{band}")


def _remove(inputs: Inputs, mode: Mode, names: Collection[str], rows: Mask) -> Inputs:
    inputs = inputs.copy()
    for column, name in enumerate(ALL_INPUTS[mode]):
        if name in names:
            inputs[rows, column] = np.nan
    return inputs
