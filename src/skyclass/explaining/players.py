"""The parts of a release's features that share a probability, with their names and units."""

from collections.abc import Sequence
from dataclasses import dataclass

from skyclass.survey.features import GROUP_FEATURES, InputGroup

_TITLES = {
    "r": "r magnitude",
    InputGroup.EXTINCTION: "Galactic extinction in r",
    InputGroup.PSF: "PSF minus model magnitudes",
    InputGroup.TYPE: "photometric type",
    InputGroup.ERRORS: "magnitude errors",
    InputGroup.WISE: "WISE colours",
}
_WITHOUT_UNIT = ("redshift", "type")


@dataclass(frozen=True)
class Player:
    """Features that are known or unknown together.

    Attributes:
        name: The feature, or the group of optional inputs.
        features: Names of the features.
        places: Their columns in the release's features.
    """

    name: str
    features: tuple[str, ...]
    places: tuple[int, ...]

    @property
    def title(self) -> str:
        """The name in texts."""
        return _TITLES.get(self.name, self.name)

    @property
    def unit(self) -> str:
        """Unit of the features: `mag`, or empty for a number without unit."""
        return "" if self.name in _WITHOUT_UNIT else "mag"


def find_players(features: Sequence[str]) -> list[Player]:
    """Return the players of a release, in the order of its features.

    Colours, r and the redshift are a player each. The features of a group of optional inputs are
    one player, because they are measured together; this also bounds the number of players to ten.

    Args:
        features: Features of the release, in order.

    Examples:
        >>> [player.name for player in find_players(["u-g", "r", "w1-w2", "r-w1"])]
        ['u-g', 'r', 'wise']
    """
    groups = {name: str(group) for group, names in GROUP_FEATURES.items() for name in names}
    members: dict[str, list[int]] = {}
    for place, feature in enumerate(features):
        members.setdefault(groups.get(feature, feature), []).append(place)
    return [
        Player(name, tuple(features[place] for place in places), tuple(places))
        for name, places in members.items()
    ]
