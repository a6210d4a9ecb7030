"""An explanation of the probabilities of one object."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from skyclass.explaining.players import Player

NOT_MEASURED = "not measured"
_TYPE_NAMES = {3.0: "3 (extended)", 6.0: "6 (point-like)"}


@dataclass(frozen=True)
class Contribution:
    """What one player contributed.

    Attributes:
        player: The features.
        values: Value of the object in each feature; NaN where it was not measured.
        typical: For each class, the 10th and the 90th percentile of the feature among the reference
            rows of the class; empty if the player has several features or codes.
        shares: Contribution to the probability of each class; they sum to zero.
    """

    player: Player
    values: Mapping[str, float]
    typical: Mapping[str, tuple[float, float]]
    shares: Mapping[str, float]

    def format_value(self) -> str:
        """Return the value with its unit, such as `0.31 mag`."""
        return ", ".join(self.format_values())

    def format_values(self) -> list[str]:
        """Return a text for each feature of the player, with its name if there are several."""
        if all(math.isnan(value) for value in self.values.values()):
            return [NOT_MEASURED]
        if len(self.values) == 1:
            ((name, value),) = self.values.items()
            is_code = name == "type" and value in _TYPE_NAMES
            return [_TYPE_NAMES[value] if is_code else self._format(value)]
        return [f"{name} {self._format(value)}" for name, value in self.values.items()]

    def format_typical(self, name: str) -> str:
        """Return the range of most objects of a class, such as `0.10…0.40`; empty if unknown."""
        if name not in self.typical:
            return ""
        return "…".join(self._format(bound, with_unit=False) for bound in self.typical[name])

    def _format(self, value: float, with_unit: bool = True) -> str:
        if math.isnan(value):
            return NOT_MEASURED
        if not self.player.unit:
            return f"{value:.3g}"
        number = f"{round(value, 2) + 0:.2f}"  # without a negative zero
        return f"{number} {self.player.unit}" if with_unit else number


@dataclass(frozen=True)
class Explanation:
    """The contributions to the probabilities of one object.

    Attributes:
        probabilities: Probability of each class.
        base: Mean probability of each class over the background rows, which is where the
            contributions start.
        contributions: In the order of the release's features. For each class, base and
            contributions add up to the probability.
    """

    probabilities: Mapping[str, float]
    base: Mapping[str, float]
    contributions: tuple[Contribution, ...]

    @property
    def predicted(self) -> str:
        """The class with the highest probability."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])

    def rank_contributions(self) -> list[Contribution]:
        """Return the contributions, the largest one to the predicted class first."""
        return sorted(
            self.contributions, key=lambda each: abs(each.shares[self.predicted]), reverse=True
        )


def describe_contribution(contribution: Contribution, predicted: str) -> str:
    """Return a contribution as a line of text.

    Args:
        contribution: The contribution.
        predicted: The class that it is described for.

    Returns:
        For example `u-g = 0.31 mag (typical QSO 0.10…0.40): +0.41 towards QSO`.
    """
    share = contribution.shares[predicted]
    direction = f"towards {predicted}" if share >= 0 else f"away from {predicted}"
    typical = contribution.format_typical(predicted)
    hint = f" (typical {predicted} {typical})" if typical else ""
    value = contribution.format_value()
    return f"{contribution.player.title} = {value}{hint}: {round(share, 3) + 0:+.3f} {direction}"
