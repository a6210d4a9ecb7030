"""The value of a coalition: what a model predicts if only some features of an object are known."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from skyclass.explaining.players import Player
from skyclass.registry.models import Engine

MAX_CALL_ROWS = 10_000
"""Maximum number of rows per call of the model: support vector machines need many times the memory
of the rows."""

Features = npt.NDArray[np.float32]


class CoalitionValue:
    """Mean probabilities over background rows that have the object's values of a coalition.

    A feature of a player outside the coalition has the values of the background, whatever the
    others are (interventional SHAP values; Janzing, Minorics and Blöbaum 2020).
    """

    def __init__(
        self, engine: Engine, row: Features, background: Features, players: Sequence[Player]
    ) -> None:
        """Prepare the coalitions of one object.

        Args:
            engine: The model.
            row: Features of the object, shape (k,).
            background: Shape (b, k).
            players: The players. Features of no player always have the object's values.
        """
        self._engine, self._row, self._background = engine, row, background
        self._members = np.zeros((len(players), len(row)), dtype=bool)
        for number, player in enumerate(players):
            self._members[number, list(player.places)] = True
        self._always_known = ~self._members.any(axis=0)

    def __call__(self, coalitions: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """Return the mean probabilities, shape (n, 3), of coalitions of shape (n, players)."""
        known = (coalitions @ self._members) | self._always_known
        step = max(1, MAX_CALL_ROWS // len(self._background))
        parts = [self._predict(known[start : start + step]) for start in range(0, len(known), step)]
        return np.concatenate(parts)

    def _predict(self, known: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        rows = np.where(known[:, None, :], self._row, self._background)
        probabilities = np.asarray(self._engine(rows.reshape(-1, rows.shape[2])), dtype=np.float64)
        return probabilities.reshape(*rows.shape[:2], -1).mean(axis=1)
