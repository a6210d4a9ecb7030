"""Error rates of the gate on real observations: `python -m benchmarks.gate FILE`.

Models of one algorithm are fitted on halves of the rows outside the random hold-out, so that none
is better than another by design. Prints how many of their pairs the gate calls worse, and how often
it finds a loss of recall in one slice that is added to the predictions of one of them. The peer is
the rule of version 0.1.0, which compares the macro-F1 of all rows with a margin of 0.001.
"""

import argparse
import itertools
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.replay.models import make_dataset, read_labelled_observations
from skyclass.registry.verdicts import Check, Outcome
from skyclass.survey.features import Mode
from skyclass.training.candidates import CANDIDATES
from skyclass.training.dataset import Dataset
from skyclass.training.gate.comparison import check_not_worse, compare_holdouts, compare_slices
from skyclass.training.gate.rows import HeldOutRows, find_slices

LOSSES = (0.05, 0.1, 0.2, 0.3)
"""Shares of the rows of a slice that are classified correctly no more."""
SIZES = (50, 100, 200, 400, 800)
"""Rows of a slice; each slice counts for the nearest size."""
OLD_MARGIN = 0.001

_CANDIDATE = "hist_gradient_boosting"
Probabilities = npt.NDArray[np.float64]


def fit_equal_models(dataset: Dataset, number: int) -> list[Probabilities]:
    """Return predictions of models for the random hold-out, each fitted on half of the others."""
    held_out = dataset.random_holdout
    features, labels = dataset.features, dataset.labels
    predictions = []
    for seed in range((number + 1) // 2):
        shuffled = np.random.default_rng(seed).permutation(np.flatnonzero(~held_out))
        for half in np.array_split(shuffled, 2):
            model = CANDIDATES[_CANDIDATE].make(seed).fit(features[half], labels[half])
            predictions.append(model.predict_proba(features[held_out]))
    return predictions[:number]


def measure_false_rejections(
    rows: HeldOutRows, predictions: list[Probabilities]
) -> tuple[float, float]:
    """Return the share of ordered pairs that are called worse, by the gate and by its peer."""
    rejected = []
    for challenger, champion in itertools.permutations(predictions, 2):
        averages = compare_holdouts(rows, challenger, champion)
        checks = check_not_worse(averages)
        checks += check_not_worse(compare_slices(rows, challenger, champion))
        macro_f1 = next(each.test for each in averages if each.metric == "macro-F1")
        is_worse = macro_f1.challenger < macro_f1.champion + OLD_MARGIN
        rejected.append((any(map(_has_failed, checks)), is_worse))
    by_gate, by_peer = np.mean(rejected, axis=0)
    return float(by_gate), float(by_peer)


def measure_power(
    rows: HeldOutRows, predictions: list[Probabilities]
) -> dict[tuple[int, float], float]:
    """Return the share of losses that are found, by size of the slice and share of its rows."""
    found = defaultdict(list)
    pairs = [(each, predictions[number - 1]) for number, each in enumerate(predictions)]
    for (challenger, champion), loss in itertools.product(pairs, LOSSES):
        for number, size, poisoned in _add_losses(rows, challenger, loss):
            checks = check_not_worse(compare_slices(rows, poisoned, champion))
            found[size, loss].append(_has_failed(checks[number]))
    return {key: float(np.mean(values)) for key, values in found.items()}


def _add_losses(
    rows: HeldOutRows, probabilities: Probabilities, loss: float
) -> Iterator[tuple[int, int, Probabilities]]:
    """Yield each slice's number and nearest size, and predictions with the loss in that slice."""
    rng = np.random.default_rng(0)
    correct = probabilities.argmax(axis=1) == rows.labels
    for number, part in enumerate(find_slices(rows)):
        recall = correct[part.members].mean()
        if recall > loss:
            right = part.members[correct[part.members]]
            lost = right[rng.random(len(right)) < loss / recall]
            poisoned = probabilities.copy()
            poisoned[lost] = np.roll(poisoned[lost], 1, axis=1)
            nearest = min(SIZES, key=lambda size: abs(np.log(size / len(part.members))))
            yield number, nearest, poisoned


def _has_failed(check: Check) -> bool:
    return check.outcome is Outcome.FAILED


def main() -> None:
    """Measure both modes and print the rates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path, help="CSV or Parquet file of observations")
    parser.add_argument("--models", type=int, default=12, help="models of each mode")
    given = parser.parse_args()
    for mode in Mode:
        dataset = make_dataset(read_labelled_observations(given.file, mode), mode, 0)
        rows = HeldOutRows.from_dataset(dataset)
        predictions = fit_equal_models(dataset, given.models)
        by_gate, by_peer = measure_false_rejections(rows, predictions)
        sys.stdout.write(
            f"{mode}: {len(rows.labels):,} held-out rows, {len(list(find_slices(rows)))} slices\n"
            f"equal models rejected: {by_gate:.1%}; not better by {OLD_MARGIN} macro-F1: "
            f"{by_peer:.1%}\nrows of the slice  "
            + "  ".join(f"loss {loss:.0%}" for loss in LOSSES)
            + "\n"
        )
        power = measure_power(rows, predictions)
        for size in SIZES:
            cells = [power.get((size, loss)) for loss in LOSSES]
            shown = ["-" if cell is None else f"{cell:.2f}" for cell in cells]
            sys.stdout.write(f"{size:>17}" + "".join(f"{cell:>9}" for cell in shown) + "\n")


if __name__ == "__main__":
    main()
