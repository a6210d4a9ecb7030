"""Exact Shapley values, computed by the shap library from the values of all coalitions."""

import os
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

ValueFunction = Callable[[npt.NDArray[np.bool_]], npt.NDArray[np.float64]]
"""Maps coalitions, shape (n, players), to their values, shape (n, outputs)."""


def compute_shapley_values(
    value: ValueFunction, players: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Share the value of the coalition of all players among them (Shapley 1953).

    Every coalition is evaluated, so the result is no estimate. The time doubles with each player.

    Args:
        value: Value of coalitions; called with all 2^players of them.
        players: Number of players, at least one.

    Returns:
        The value of the empty coalition, shape (outputs,), and the shares, shape (players,
        outputs). Both together add up to the value of the coalition of all.
    """
    exact = _load_exact_explainer()
    coalitions = 2**players
    explainer = exact(lambda masks: value(np.asarray(masks, dtype=bool)), np.zeros((1, players)))
    found = explainer(
        np.ones((1, players)), max_evals=coalitions, batch_size=coalitions, silent=True
    )
    return found.base_values[0], found.values[0]


@cache
def _load_exact_explainer() -> Any:
    """Import shap: seconds and 180 MB that other commands do not need.

    It compiles a loop over the coalitions, which takes 16 s in every process. Interpreted, the loop
    takes milliseconds for ten players.
    """
    os.environ.setdefault("NUMBA_DISABLE_JIT", "1")  # read when numba is imported
    from shap.explainers import Exact

    return Exact
