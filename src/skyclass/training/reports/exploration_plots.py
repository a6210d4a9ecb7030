"""Plots of the exploration report."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from skyclass.survey.features import FEATURES, MAGNITUDES, Mode
from skyclass.survey.observation import CLASSES
from skyclass.training.reports.plots import STYLE

COLOURS = FEATURES[Mode.PHOTOMETRIC][:4]
"""The colours u-g, g-r, r-i and i-z."""

_MAX_POINTS = 6_000
_LINE_COLOURS = dict(zip(CLASSES, ("#3451b2", "#c2410c", "#2b7a4b"), strict=True))


def plot_exploration(rows: pd.DataFrame, eras: Sequence[str]) -> list[Figure]:
    """Plot the distributions of the measurements, of the colours and of the classes.

    Args:
        rows: Columns `MEASUREMENTS`, `COLOURS`, `class` (may be null) and `era`.
        eras: Names of the eras that the rows have, in order of time.
    """
    labelled = rows[rows["class"].notna()]
    with rc_context(STYLE):
        return [
            _plot_histograms(labelled, MAGNITUDES, "Magnitudes (mag)", np.arange(12, 27.1, 0.3)),
            _plot_histograms(labelled, COLOURS, "Colours (mag)", np.arange(-1, 4.01, 0.1)),
            _plot_colour_colour(labelled),
            _plot_redshifts(labelled),
            _plot_correlation(rows),
            _plot_classes_by_era(labelled, eras),
        ]


def _draw_class_histograms(
    axes: Axes, classes: pd.Series, values: pd.Series, bins: npt.NDArray[np.float64]
) -> None:
    """Draw one histogram per class, in shares of that class."""
    for label, colour in _LINE_COLOURS.items():
        of_class = values[classes == label].dropna()
        if len(of_class):
            weights = np.full(len(of_class), 1 / len(of_class))
            axes.hist(
                of_class, bins.tolist(), weights=weights, histtype="step", color=colour,
                linewidth=1.4, label=label,
            )  # fmt: skip


def _make_panels(count: int, row_height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels in two columns, which stay legible in a narrow window."""
    rows = -(-count // 2)
    figure = Figure(figsize=(5.2, row_height * rows), layout="constrained", dpi=110)
    panels = list(figure.subplots(rows, 2, squeeze=False).flat)
    for unused in panels[count:]:
        unused.set_axis_off()
    return figure, panels[:count]


def _plot_histograms(
    rows: pd.DataFrame, names: Sequence[str], title: str, bins: npt.NDArray[np.float64]
) -> Figure:
    figure, panels = _make_panels(len(names), row_height=1.9)
    for axes, name in zip(panels, names, strict=True):
        _draw_class_histograms(axes, rows["class"], rows[name], bins)
        axes.set_xlabel(name)
    figure.suptitle(f"{title}, share of each class", x=0.01, ha="left", fontsize=11)
    handles = [Patch(edgecolor=c, fill=False, label=name) for name, c in _LINE_COLOURS.items()]
    figure.axes[0].legend(handles=handles, frameon=False, fontsize=8, loc="best")
    return figure


def _plot_colour_colour(rows: pd.DataFrame) -> Figure:
    points = rows.sample(min(_MAX_POINTS, len(rows)), random_state=0)
    figure, panels = _make_panels(len(COLOURS) - 1, row_height=2.5)
    for axes, (x, y) in zip(panels, pairwise(COLOURS), strict=True):
        axes.scatter(
            points[x], points[y], s=2, alpha=0.4, linewidths=0, rasterized=True,
            c=points["class"].map(_LINE_COLOURS),
        )  # fmt: skip
        axes.set(xlabel=x, ylabel=y, xlim=(-1, 4), ylim=(-1, 3))
    for label, colour in _LINE_COLOURS.items():
        figure.axes[0].scatter([], [], s=14, color=colour, label=label)
    figure.axes[0].legend(frameon=False, fontsize=8, loc="upper left")
    figure.suptitle(f"Colour-colour, {len(points):,} objects", x=0.01, ha="left", fontsize=11)
    return figure


def _plot_redshifts(rows: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(4.4, 2.9), layout="constrained")
    axes = figure.subplots()
    bins = np.linspace(-0.01, 0.95, 60)
    _draw_class_histograms(axes, rows["class"], np.log10(1 + rows["redshift"]), bins)
    ticks = [0, 0.2, 0.5, 1, 2, 4, 7]
    axes.set_xticks(np.log10(1 + np.array(ticks)), [f"{tick:g}" for tick in ticks])
    axes.set_yscale("log")
    axes.set_xlabel("redshift, on a scale of log(1 + z)")
    axes.set_title("Redshift, share of each class")
    axes.legend(frameon=False, fontsize=8)
    return figure


def _plot_correlation(rows: pd.DataFrame) -> Figure:
    names = [*MAGNITUDES, *COLOURS, "redshift"]
    matrix = rows[names].corr(method="spearman").to_numpy()
    figure = Figure(figsize=(4.4, 3.9), layout="constrained")
    axes = figure.subplots()
    axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
    for (row, column), value in np.ndenumerate(matrix):
        colour = "white" if abs(value) > 0.6 else "black"
        axes.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(len(names)), names, rotation=60, fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_title("Rank correlation (Spearman)")
    return figure


def _plot_classes_by_era(rows: pd.DataFrame, eras: Sequence[str]) -> Figure:
    shares = rows.groupby("era")["class"].value_counts(normalize=True).unstack(fill_value=0)
    shares = shares.reindex(index=list(eras), columns=list(CLASSES), fill_value=0)
    figure = Figure(figsize=(4.4, 2.9), layout="constrained")
    axes = figure.subplots()
    left = np.zeros(len(eras))
    for label, colour in _LINE_COLOURS.items():
        values = shares[label].to_numpy()
        axes.barh(eras, values, left=left, color=colour, label=label)
        left = left + values
    axes.set_xlim(0, 1)
    axes.invert_yaxis()
    axes.set_title("Classes by survey era")
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="lower center", bbox_to_anchor=(0.5, -0.4))
    return figure
