"""The steps of the scoring pipeline: decide what is scored by what, then score it in parts."""

from collections.abc import Callable
from dataclasses import dataclass

from skyclass.errors import CatalogError
from skyclass.scoring.inputs import open_input
from skyclass.scoring.score import ScoringResult, Shard, find_release, score
from skyclass.settings import Settings
from skyclass.survey.features import Mode

MAX_SHARDS = 64


@dataclass(frozen=True)
class Plan:
    """What is scored by what.

    Attributes:
        source: The input; of a Delta table, the version that is scored.
        release: The release that answers.
        shards: The parts that are scored side by side, like `0/4`.
    """

    source: str
    release: str
    shards: tuple[str, ...]


def plan_step(settings: Settings, source_uri: str, mode: Mode, release: str, shards: int) -> Plan:
    """Fix the input and the release, so that all parts mean the same.

    Args:
        settings: Where the object store is.
        source_uri: The input, as for `open_input`.
        mode: The mode.
        release: A release's name, or `champion`.
        shards: In how many parts the input is scored, if it has so many pieces.
    """
    if not 1 <= shards <= MAX_SHARDS:
        raise CatalogError(f"shards is {shards}: choose 1 to {MAX_SHARDS}")
    given = open_input(settings, source_uri)
    parts = min(shards, max(len(given.pieces), 1))
    found = find_release(settings, mode, release)
    names = tuple(f"{number}/{parts}" for number in range(parts))
    return Plan(given.uri, found.id, names)


def score_step(
    settings: Settings,
    source_uri: str,
    mode: Mode,
    release: str,
    shard: str = "0/1",
    progress: Callable[[int], None] = lambda rows: None,
) -> ScoringResult:
    """Score one part of an input.

    Args:
        settings: Where the object store is.
        source_uri: The input, as for `open_input`.
        mode: The mode.
        release: A release's name, or `champion`.
        shard: The part, like `0/4`.
        progress: Told how many rows have been read, after each chunk.
    """
    part = Shard.parse(shard)
    found = find_release(settings, mode, release)
    return score(settings, open_input(settings, source_uri), found, part, progress)
