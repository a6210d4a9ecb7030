"""Replay both modes under each promotion policy, print the results, and draw them."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.replay import loop
from benchmarks.replay.chart import draw_accuracy
from benchmarks.replay.loop import Step, replay
from benchmarks.replay.models import read_labelled_observations
from skyclass.monitoring.settings import LOOP_PROMOTION
from skyclass.survey.features import Mode
from skyclass.training.parameters import PromotionPolicy
from skyclass.training.reports.plots import to_svg

FIRST_ROWS = (loop.FIRST_ROWS, 2_600, 2_800, 3_200, 3_400)
"""Sizes of the first training set. Which window a survey begins in is chance, and changes the mean
accuracy by a percentage point."""

POLICIES = (PromotionPolicy.IF_BETTER, PromotionPolicy.IF_NOT_WORSE)


def describe_step(step: Step) -> str:
    """Return the results for one window on one line."""
    reason = f": {step.gate.reason}" if step.gate else ""
    return (
        f"night {step.night:.0f}  without {step.baseline_accuracy:.3f}  with {step.accuracy:.3f}"
        f"  estimated {step.estimate.accuracy:.3f}  {step.verdict:8}  {step.outcome}{reason}"
    )


def summarise(steps: Sequence[Step]) -> str:
    """Return means and counts over all windows on one line."""
    runs = [step for step in steps if step.gate]
    causes = Counter(str(step.cause) for step in runs)
    promoted = [step.gate for step in runs if step.gate and step.gate.passed]
    error = np.mean([abs(step.estimate.accuracy - step.accuracy) for step in steps])
    return (
        f"without {np.mean([step.baseline_accuracy for step in steps]):.1%}"
        f"  with {np.mean([step.accuracy for step in steps]):.1%}"
        f"  runs {len(runs)} ({', '.join(f'{causes[cause]} {cause}' for cause in sorted(causes))})"
        f"  promoted {len(promoted)} ({sum(bool(gate.reviews) for gate in promoted)} after an"
        f" approval)  rejected {len(runs) - len(promoted)}"
        f"  error of the estimate {error:.3f}"
        f"  inside its interval {sum(step.is_inside for step in steps)} of {len(steps)}"
    )


def main() -> None:
    """Run the replay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="CSV or Parquet file of observations")
    parser.add_argument("-o", "--output", type=Path, help="SVG file to write the chart to")
    parser.add_argument(
        "--starts",
        type=int,
        default=1,
        choices=range(1, len(FIRST_ROWS) + 1),
        help="number of replays, each with windows that begin elsewhere",
    )
    arguments = parser.parse_args()
    drawn: dict[Mode, list[Step]] = {}
    summaries = []
    for mode in Mode:
        rows = read_labelled_observations(arguments.file, mode)
        for policy in POLICIES:
            found: list[Step] = []
            for first_rows in FIRST_ROWS[: arguments.starts]:
                for step in replay(rows, mode, policy, first_rows):
                    found.append(step)
                    sys.stdout.write(f"{mode}  {policy}  {describe_step(step)}\n")
                    sys.stdout.flush()
                if policy is LOOP_PROMOTION and first_rows == FIRST_ROWS[0]:
                    drawn[mode] = found.copy()
            summaries.append(f"{mode}  {policy}  {summarise(found)}\n")
    sys.stdout.write("\n" + "".join(summaries))
    if arguments.output:
        arguments.output.write_text(to_svg(draw_accuracy(drawn)))


if __name__ == "__main__":
    main()
