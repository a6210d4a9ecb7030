"""Explains the predictions of a release with Shapley values of its probabilities."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from skyclass.errors import ReleaseError
from skyclass.explaining.coalitions import CoalitionValue, Features
from skyclass.explaining.explanation import Contribution, Explanation
from skyclass.explaining.players import Player, find_players
from skyclass.explaining.shapley import compute_shapley_values
from skyclass.registry.models import LoadedModel, load_verified_model
from skyclass.registry.releases import REFERENCE, Registry, Release
from skyclass.survey.features import ALL_INPUTS, InputGroup
from skyclass.survey.observation import CLASSES, OPTIONAL_COLUMNS, is_sentinel
from skyclass.survey.optional import find_discarded
from skyclass.tables.log.schema import read_reference

BACKGROUND_ROWS = 64
"""Reference rows that stand for a feature whose value is unknown. With ten players, 1,024
coalitions of 64 rows are predicted, which takes about a second."""

_TYPICAL_PERCENTILES = (10, 90)

Ranges = Mapping[str, tuple[float, float]]


class Explainer:
    """Explains the predictions of one release.

    The model is a function of its features here, whatever it is made of: every candidate,
    calibrated or not, is explained exactly and in probabilities.
    """

    def __init__(self, model: LoadedModel, reference: pd.DataFrame) -> None:
        """Select the background and compute the typical ranges.

        Args:
            model: The model.
            reference: Rows of its release's reference: columns of `REFERENCE_SCHEMA`.

        Raises:
            ReleaseError: There are no reference rows.
        """
        self.release = model.release
        if reference.empty:
            raise ReleaseError(
                f"release {self.release.id[:12]} has no reference rows: train a new release"
            )
        self._model = model
        self._players = find_players(self.release.manifest.features)
        ordered = reference.sort_values("predicted", kind="stable")
        inputs = ordered.reindex(columns=list(ALL_INPUTS[self.release.mode]))
        features = model.compute_features(inputs.to_numpy("float64"))
        # Evenly spaced among the rows ordered by class: every class has its share.
        places = np.linspace(0, len(features) - 1, min(BACKGROUND_ROWS, len(features)))
        self._background = features[places.round().astype(int)]
        labels = ordered["class"].to_numpy()
        self._typical = {
            player.name: _find_typical_ranges(features[:, player.places[0]], labels)
            for player in self._players
            if len(player.features) == 1 and player.name != InputGroup.TYPE
        }

    def explain(self, inputs: npt.ArrayLike) -> list[Explanation]:
        """Explain the predictions for objects.

        Args:
            inputs: Shape (n, len(INPUTS[mode])) or (n, len(ALL_INPUTS[mode])), in that order; NaN
                where a value was not measured. Sentinels and invalid optional inputs are not used,
                as by the endpoint.
        """
        values = np.array(inputs, dtype=np.float64)
        values[is_sentinel(values)] = np.nan
        for name, column in zip(ALL_INPUTS[self.release.mode], values.T, strict=False):
            if name in OPTIONAL_COLUMNS:
                discarded = find_discarded(name, column)
                column[discarded.not_measured | discarded.invalid] = np.nan
        return [self._explain_row(row) for row in self._model.compute_features(values)]

    def _explain_row(self, row: Features) -> Explanation:
        # A player with the same value in all rows contributes nothing, and would double the time.
        active = [player for player in self._players if self._is_active(player, row)]
        value = CoalitionValue(self._model.engine, row, self._background, active)
        base = probabilities = value(np.ones((1, len(active)), dtype=bool))[0]
        shares = {player.name: np.zeros(len(CLASSES)) for player in self._players}
        if active:
            base, found = compute_shapley_values(value, len(active))
            shares |= dict(zip((player.name for player in active), found, strict=True))
        return Explanation(
            self._name_classes(probabilities),
            self._name_classes(base),
            tuple(
                Contribution(
                    player,
                    dict(zip(player.features, row[list(player.places)].tolist(), strict=True)),
                    self._typical.get(player.name, {}),
                    self._name_classes(shares[player.name]),
                )
                for player in self._players
            ),
        )

    def _is_active(self, player: Player, row: Features) -> bool:
        known = self._background[:, list(player.places)]
        own = np.broadcast_to(row[list(player.places)], known.shape)
        return not np.array_equal(known, own, equal_nan=True)

    def _name_classes(self, values: npt.NDArray[np.float64]) -> dict[str, float]:
        return dict(zip(self.release.manifest.classes, values.tolist(), strict=True))


def load_explainer(registry: Registry, release: Release) -> Explainer:
    """Download a release and return its explainer.

    Raises:
        ReleaseError: The release has no reference, a file is missing or was modified, or the model
            cannot be loaded here.
    """
    reference = read_reference(registry.read_file(release, REFERENCE))
    with tempfile.TemporaryDirectory() as folder:
        registry.download(release, Path(folder))
        return Explainer(load_verified_model(release, Path(folder)), reference)


def _find_typical_ranges(values: Features, labels: npt.NDArray[np.object_]) -> Ranges:
    """Return the range of most objects of each class that has measured values."""
    ranges = {}
    for name in CLASSES:
        measured = values[(labels == name) & ~np.isnan(values)]
        if len(measured):
            low, high = np.percentile(measured, _TYPICAL_PERCENTILES)
            ranges[name] = (float(low), float(high))
    return ranges
