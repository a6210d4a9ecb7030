"""Where challenger and champion predict different classes, on traffic and on labelled rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from skyclass.registry.verdicts import Check, Outcome
from skyclass.survey.features import Mode
from skyclass.survey.magnitudes import MAGNITUDE_BINS, find_magnitude_bins
from skyclass.survey.observation import CLASSES
from skyclass.training.traffic import limits

GROUP = "traffic"
ALL_ROWS = "all rows"
FLAGGED = "rows flagged as outside the survey's range"

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PredictedRows:
    """The predictions of both models for the same rows.

    Attributes:
        challenger: Classes that the challenger predicts, shape (n,).
        champion: Classes that the champion predicts, shape (n,).
        r: Magnitude in the r band (mag), shape (n,).
        flagged: Whether the endpoint flags a row, shape (n,).
    """

    challenger: npt.NDArray[np.object_]
    champion: npt.NDArray[np.object_]
    r: npt.NDArray[np.float64]
    flagged: Mask

    @property
    def disagrees(self) -> Mask:
        """Whether the two predict different classes, shape (n,)."""
        return self.challenger != self.champion

    def get_share(self, name: str) -> tuple[float, float]:
        """Return the share of rows predicted as a class, by the challenger and by the champion."""
        return float((self.challenger == name).mean()), float((self.champion == name).mean())


def check_disagreement(
    traffic: PredictedRows, labelled: PredictedRows, mode: Mode
) -> Iterator[Check]:
    """Check the share of disagreement, by predicted class, magnitude and flag.

    Args:
        traffic: Logged rows.
        labelled: The random hold-out, on which the gate has judged the disagreements.
        mode: Mode of the models.
    """
    expected = {name: labelled.disagrees[rows] for name, rows in _find_groups(labelled).items()}
    overall = float(labelled.disagrees.mean())
    for name, rows in _find_groups(traffic).items():
        found = traffic.disagrees[rows]
        if len(found) < limits.MIN_GROUP_ROWS:
            continue
        seen = expected[name]
        known = float(seen.mean()) if len(seen) >= limits.MIN_GROUP_ROWS else overall
        limit = max(limits.DISAGREEMENT[mode], limits.HOLDOUT_RATIO * known)
        is_beyond = _bound_share(int(found.sum()), len(found)) > limit
        yield Check(
            group=GROUP,
            subject=f"disagreement with the champion, {name}",
            test="Wilson lower bound",
            rows=len(found),
            challenger=float(found.mean()),
            limit=limit,
            outcome=Outcome.REVIEW if is_beyond else Outcome.PASSED,
        )


def check_shares(traffic: PredictedRows, labelled: PredictedRows, mode: Mode) -> Iterator[Check]:
    """Check how the share of each predicted class changes; arguments as above."""
    for name in CLASSES:
        challenger, champion = traffic.get_share(name)
        known = abs(np.subtract(*labelled.get_share(name)))
        allowed = max(limits.SHARE_SHIFT[mode], limits.HOLDOUT_RATIO * float(known))
        shift = challenger - champion
        yield Check(
            group=GROUP,
            subject=f"share of rows predicted as {name}",
            test=f"change by at most {allowed:.3f}",
            rows=len(traffic.r),
            challenger=challenger,
            champion=champion,
            limit=champion + np.copysign(allowed, shift),
            outcome=Outcome.REVIEW if abs(shift) > allowed else Outcome.PASSED,
        )


def _find_groups(rows: PredictedRows) -> Mapping[str, Mask]:
    bins = find_magnitude_bins(rows.r)
    return {
        ALL_ROWS: np.ones(len(rows.r), bool),
        **{f"predicted {name}": rows.champion == name for name in CLASSES},
        **{name: bins == number for number, name in enumerate(MAGNITUDE_BINS)},
        FLAGGED: rows.flagged,
    }


def _bound_share(count: int, rows: int) -> float:
    """Return the lower bound of a share."""
    test = binomtest(count, rows, alternative="greater")
    return float(test.proportion_ci(1 - limits.SIGNIFICANCE, method="wilson").low)
