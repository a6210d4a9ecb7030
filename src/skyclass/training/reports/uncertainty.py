"""The section of the training report about label sets, pure samples and the domain."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.figure import Figure

from skyclass.survey.magnitudes import MAGNITUDE_BINS, find_magnitude_bins
from skyclass.survey.observation import CLASSES
from skyclass.training.dataset import Dataset
from skyclass.training.reports.cuts import list_cuts
from skyclass.training.reports.pages import render_page
from skyclass.training.reports.plots import STYLE, make_axes, to_svg
from skyclass.training.uncertainty.assessment import REPORTED_COVERAGE, Uncertainty

SHOWN_PURITY = 0.95
"""Purity of the samples that the report describes by magnitude."""

MIN_ROWS = 20
"""Shares of fewer rows are not shown."""

_COLOURS = dict(zip(CLASSES, ("#b4552a", "#3451b2", "#2b7a4b"), strict=True))
_LINES = dict(zip(CLASSES, ("-", "--", "-."), strict=True))


class SampleRow(NamedTuple):
    """Purity and completeness of a class in one magnitude bin, of all rows and above the cut.

    Attributes:
        name: The class.
        magnitudes: The magnitude bin.
        rows: Rows of the class.
        purity: Share of the rows predicted as the class that are of it; NaN for few rows.
        completeness: Share of the rows of the class that are predicted as it.
        certain_purity: The same above the cut of `SHOWN_PURITY`.
        certain_completeness: The same above the cut.
    """

    name: str
    magnitudes: str
    rows: int
    purity: float
    completeness: float
    certain_purity: float
    certain_completeness: float


def render_uncertainty(
    dataset: Dataset, probabilities: npt.NDArray[np.float64], uncertainty: Uncertainty
) -> str:
    """Render the section.

    Args:
        dataset: The dataset of the run.
        probabilities: Predictions for the random hold-out, shape (n, 3).
        uncertainty: What is promised about predictions.
    """
    held_out = dataset.random_holdout
    labels = np.argmax([dataset.labels[held_out] == name for name in CLASSES], axis=0)
    bins = find_magnitude_bins(dataset.rows["r"].to_numpy(np.float64)[held_out])
    certain = uncertainty.purity_cuts.find_certain(probabilities, SHOWN_PURITY, uncertainty.groups)
    rows = list_samples(labels, probabilities.argmax(axis=1), certain, bins)
    outside = uncertainty.is_outside
    figures = (plot_tradeoff(labels, probabilities), plot_completeness(rows))
    return render_page(
        "uncertainty.html.j2",
        classes=CLASSES,
        coverage=REPORTED_COVERAGE,
        scores=uncertainty.scores,
        purity=SHOWN_PURITY,
        samples=rows,
        purities=uncertainty.purity_cuts.purities,
        cuts=list_cuts(uncertainty.purity_cuts),
        has_groups=len(uncertainty.purity_cuts.cuts) > 1,
        outside=None if outside is None else float(outside.mean()),
        rows=len(labels),
        plots=[to_svg(figure) for figure in figures],
    )


def list_samples(
    labels: npt.NDArray[np.intp],
    predicted: npt.NDArray[np.intp],
    certain: npt.NDArray[np.bool_],
    bins: npt.NDArray[np.intp],
) -> list[SampleRow]:
    """Compute purity and completeness by class and magnitude bin.

    Args:
        labels: Index of the true class in `CLASSES`, shape (n,).
        predicted: Index of the predicted class, shape (n,).
        certain: Rows above their cut, shape (n,).
        bins: Index in `MAGNITUDE_BINS`, shape (n,).
    """
    rows = []
    for place, name in enumerate(CLASSES):
        for number, magnitudes in enumerate(MAGNITUDE_BINS):
            is_bin = bins == number
            true, chosen = is_bin & (labels == place), is_bin & (predicted == place)
            rows.append(
                SampleRow(
                    name=name,
                    magnitudes=magnitudes,
                    rows=int(true.sum()),
                    purity=_share(true, chosen),
                    completeness=_share(chosen, true),
                    certain_purity=_share(true, chosen & certain),
                    certain_completeness=_share(chosen & certain, true),
                )
            )
    return rows


def plot_tradeoff(labels: npt.NDArray[np.intp], probabilities: npt.NDArray[np.float64]) -> Figure:
    """Plot purity against completeness while the cut falls, one line per class."""
    predicted, highest = probabilities.argmax(axis=1), probabilities.max(axis=1)
    with rc_context(STYLE):
        figure, axes = make_axes("completeness", "purity")
        lowest = 1.0
        for place, name in enumerate(CLASSES):
            chosen = predicted == place
            order = np.argsort(-highest[chosen], kind="stable")
            right = np.cumsum((labels[chosen] == place)[order])
            sizes = np.arange(1, len(right) + 1)
            shown = sizes >= MIN_ROWS
            if not shown.any():
                continue
            purity = (right / sizes)[shown]
            axes.plot(
                (right / (labels == place).sum())[shown], purity, _LINES[name],
                color=_COLOURS[name], label=name,
            )  # fmt: skip
            lowest = min(lowest, float(purity.min()))
        axes.set_xlim(0, 1)
        axes.set_ylim(lowest - 0.02, 1.005)
        axes.set_title("Purity and completeness of samples\nabove a probability, random hold-out")
        axes.legend(frameon=False, loc="lower left")
        return figure


def plot_completeness(rows: list[SampleRow]) -> Figure:
    """Plot the completeness of pure samples by magnitude, one line per class."""
    with rc_context(STYLE):
        figure, axes = make_axes("r magnitude (mag)", "completeness")
        for name in CLASSES:
            values = [each.certain_completeness for each in rows if each.name == name]
            axes.plot(
                range(len(MAGNITUDE_BINS)), values, _LINES[name], marker="o",
                color=_COLOURS[name], label=name,
            )  # fmt: skip
        names = [text.removeprefix("r ").replace(" to ", "-") for text in MAGNITUDE_BINS]
        axes.set_xticks(range(len(names)), names)
        axes.set_ylim(-0.03, 1.03)
        axes.set_title(f"Completeness of samples\nwith a purity of {SHOWN_PURITY:.0%}")
        axes.legend(frameon=False, loc="lower left")
        return figure


def _share(part: npt.NDArray[np.bool_], whole: npt.NDArray[np.bool_]) -> float:
    size = int(whole.sum())
    return float((part & whole).sum() / size) if size >= MIN_ROWS else float("nan")
