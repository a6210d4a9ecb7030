"""The purity cuts of a release as a table, for its report and its model card."""

from typing import NamedTuple

from skyclass.registry.patterns import NO_GROUPS
from skyclass.registry.purity import PurityCuts
from skyclass.survey.observation import CLASSES


class Cut(NamedTuple):
    """A cut, and the completeness above it; None where the purity is not reached."""

    cut: float | None
    completeness: float | None


def list_cuts(cuts: PurityCuts) -> dict[str, list[Cut]]:
    """List the cuts of rows that have all groups, by class and in the order of the purities."""
    pattern = max(cuts.cuts, key=lambda name: (name != NO_GROUPS, name.count("+")))
    pairs = zip(cuts.cuts[pattern], cuts.completeness[pattern], strict=True)
    cells = [list(map(Cut, *pair)) for pair in pairs]
    return {name: [row[place] for row in cells] for place, name in enumerate(CLASSES)}
