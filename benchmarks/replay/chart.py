"""The chart of the documentation."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from benchmarks.replay.loop import Step
from skyclass.survey.features import Mode
from skyclass.survey.observation import FIRST_MJD, Era
from skyclass.training.reports.plots import ACCENT, MUTED


def draw_accuracy(steps_by_mode: Mapping[Mode, Sequence[Step]]) -> Figure:
    """Draw the accuracy over the nights, with and without the loop, one panel per mode."""
    figure = Figure(figsize=(9.2, 2.9 * len(steps_by_mode)), facecolor="white")
    panels = np.atleast_1d(figure.subplots(len(steps_by_mode), sharex=True))
    for axes, (mode, steps) in zip(panels, steps_by_mode.items(), strict=True):
        nights = [step.night for step in steps]
        baseline = [step.baseline_accuracy for step in steps]
        accuracy = [step.accuracy for step in steps]
        estimated = [step.estimate.accuracy for step in steps]
        axes.plot(nights, baseline, color=MUTED, lw=1.8, marker="o", ms=3.5)
        axes.plot(nights, accuracy, color=ACCENT, lw=2.2, marker="o", ms=4)
        axes.fill_between(
            nights,
            [step.estimate.lower or 0 for step in steps],
            [step.estimate.upper or 1 for step in steps],
            color=ACCENT, alpha=0.12, lw=0,
        )  # fmt: skip
        axes.plot(nights, estimated, color=ACCENT, lw=1, ls=(0, (4, 3)))
        for step in steps:
            if step.is_promoted:
                axes.axvline(step.night, color=ACCENT, alpha=0.25, lw=1, zorder=0)
        low = min(baseline)
        axes.set_ylim(low - 0.03, 1.01)
        axes.set_title(f"{mode.capitalize()} mode", loc="left", fontsize=11, fontweight="bold")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e6e8ee", lw=0.8)
        axes.set_axisbelow(True)
        axes.text(
            1, 1.03, f"mean {np.mean(accuracy):.1%} with the loop, {np.mean(baseline):.1%} without",
            transform=axes.transAxes, ha="right", fontsize=9, color="#4b5563",
        )  # fmt: skip
        for name, era in {"BOSS": Era.BOSS, "eBOSS": Era.EBOSS}.items():
            first_mjd = FIRST_MJD[era]
            axes.axvline(first_mjd, color="#c9ccd6", lw=1, ls=":")
            axes.text(first_mjd + 25, low - 0.022, f"{name} starts", fontsize=8, color="#6b7280")
    handles = panels[0].get_lines()[:3]
    panels[0].legend(
        handles,
        ["first release, never replaced", "with the loop", "estimate and its 95 % interval"],
        loc="lower left", bbox_to_anchor=(0.0, 0.12), frameon=False, fontsize=9,
    )  # fmt: skip
    panels[-1].set_xlabel("Night of the observations (MJD); faint vertical lines: promotions")
    figure.tight_layout()
    return figure
