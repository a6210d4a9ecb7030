"""Plots of the training report, and the conversion of figures to SVG and PNG."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skyclass.registry.manifest import Evaluation
from skyclass.survey.observation import CLASSES, most_probable_classes
from skyclass.training.calibration import compute_reliability

ACCENT = "#3451b2"
MUTED = "#8b8d98"
MIN_ROWS_SHOWN = 20
"""Bins with fewer rows are left out of the reliability plot: their accuracy is noise."""
STYLE: Any = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "font.size": 10,
    "svg.fonttype": "none",  # keeps text as text: smaller, selectable, in the page's font
    "svg.hashsalt": "skyclass",  # makes the output reproducible
}


def to_svg(figure: Figure) -> str:
    """Convert a figure to an SVG element."""
    buffer = io.StringIO()
    with rc_context(STYLE):
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def to_png(figure: Figure) -> bytes:
    """Convert a figure to a PNG image."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, bbox_inches="tight")
    return buffer.getvalue()


def plot_confusion(evaluation: Evaluation) -> Figure:
    """Plot the confusion matrix: counts, shaded by their share of the true class."""
    with rc_context(STYLE):
        figure = Figure(figsize=(4.2, 3.6))
        axes = figure.subplots()
        counts = np.array(evaluation.confusion)
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(counts):
            axes.text(
                column,
                row,
                f"{count:,}\n{share[row, column]:.1%}",
                ha="center",
                va="center",
                color="white" if share[row, column] > 0.5 else "black",
            )
        axes.set_xticks(range(len(CLASSES)), CLASSES)
        axes.set_yticks(range(len(CLASSES)), CLASSES)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        axes.set_title(
            f"{evaluation.split.replace('_holdout', '')} hold-out, {evaluation.mode}, "
            f"{evaluation.rows:,} rows"
        )
        return figure


def plot_reliability(
    labels: npt.NDArray[np.object_],
    probabilities: npt.NDArray[np.float64],
    evaluation: Evaluation,
) -> Figure:
    """Plot accuracy against confidence, one point per bin of confidence.

    Args:
        labels: True classes, shape (n,).
        probabilities: Probabilities as served, shape (n, 3).
        evaluation: Metrics of the same rows.
    """
    with rc_context(STYLE):
        figure, axes = make_axes("confidence (highest probability)", "accuracy")
        bins = np.array(compute_reliability(labels, probabilities))
        confidence, accuracy, weight = bins[bins[:, 2] * len(labels) >= MIN_ROWS_SHOWN].T
        axes.plot([1 / 3, 1], [1 / 3, 1], color=MUTED, linestyle="--", label="perfect calibration")
        axes.plot(confidence, accuracy, color=ACCENT)
        axes.scatter(confidence, accuracy, s=20 + 400 * weight, color=ACCENT, alpha=0.7)
        axes.set_title(
            f"Probabilities as served, {evaluation.rows:,} rows\n"
            f"calibration error {evaluation.calibration_error:.4f}, "
            f"log-loss {evaluation.log_loss:.4f}"
        )
        axes.text(
            1, 0.02, f"area = rows, bins of {MIN_ROWS_SHOWN} rows or more",
            transform=axes.transAxes, ha="right", fontsize=8, color=MUTED,
        )  # fmt: skip
        axes.legend(frameon=False, loc="upper left")
        return figure


def plot_accuracy_by_brightness(
    r_magnitude: npt.NDArray[np.float64],
    labels: npt.NDArray[np.object_],
    probabilities: npt.NDArray[np.float64],
) -> Figure:
    """Plot accuracy in bins of the r magnitude; faint objects are harder to classify."""
    edges = [-np.inf, 17, 18, 19, 20, 21, 22, np.inf]
    names = ["< 17", "17-18", "18-19", "19-20", "20-21", "21-22", "> 22"]
    correct = most_probable_classes(probabilities) == labels
    bins = np.digitize(r_magnitude, edges[1:-1])
    with rc_context(STYLE):
        figure, axes = make_axes("r magnitude (mag)", "accuracy")
        present = [number for number in range(len(names)) if (bins == number).any()]
        accuracy = [correct[bins == number].mean() for number in present]
        axes.bar([names[number] for number in present], accuracy, color=ACCENT)
        for position, number in enumerate(present):
            rows = int((bins == number).sum())
            axes.text(
                position,
                accuracy[position] + 0.01,
                f"{accuracy[position]:.1%}\n{rows:,}",
                ha="center",
                fontsize=8,
            )
        axes.tick_params(axis="x", labelsize=8)
        axes.set_ylim(0, 1.15)
        axes.set_yticks(np.arange(0, 1.01, 0.2))
        axes.set_title("Accuracy and rows by brightness, random hold-out")
        return figure


def make_axes(x: str, y: str) -> tuple[Figure, Axes]:
    """Make a figure of the size of the report's plots, with these labels of the axes."""
    figure = Figure(figsize=(4.6, 3.6))
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes
