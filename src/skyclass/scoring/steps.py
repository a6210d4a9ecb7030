"""Steps of the scoring pipeline: plan a scoring run, then score its shards."""

from collections.abc import Callable
from dataclasses import dataclass

from skyclass.errors import CatalogError
from skyclass.scoring.inputs import open_input
from skyclass.scoring.result import ScoringResult
from skyclass.scoring.score import find_release, score
from skyclass.scoring.shards import Shard
from skyclass.settings import Settings
from skyclass.survey.features import Mode

MAX_SHARDS = 64
"""Maximum number of shards of a run."""


@dataclass(frozen=True)
class ScoringPlan:
    """The input, release and shards of a scoring run.

    Attributes:
        source: Address of the input; for a Delta table it includes the version.
        release: Id of the release.
        shards: Shards to score in parallel, for example `0/4`.
    """

    source: str
    release: str
    shards: tuple[str, ...]


def plan_step(
    settings: Settings, source_uri: str, mode: Mode, release: str, shards: int
) -> ScoringPlan:
    """Fix the version of the input and the release, so that all shards use the same.

    Args:
        settings: Location of the object store.
        source_uri: Address of the input, see `open_input`.
        mode: Mode of the release.
        release: Id of a release, or `champion`.
        shards: Maximum number of shards; an input with fewer pieces has one shard per piece.

    Raises:
        CatalogError: The number of shards is out of range, or the input cannot be opened.
        ReleaseError: There is no such release.
    """
    if not 1 <= shards <= MAX_SHARDS:
        raise CatalogError(f"shards is {shards}: choose 1 to {MAX_SHARDS}")
    source = open_input(settings, source_uri)
    count = min(shards, max(len(source.pieces), 1))
    names = tuple(f"{number}/{count}" for number in range(count))
    return ScoringPlan(source.uri, find_release(settings, mode, release).id, names)


def score_step(
    settings: Settings,
    source_uri: str,
    mode: Mode,
    release: str,
    shard: str = "0/1",
    progress: Callable[[int], None] = lambda rows: None,
) -> ScoringResult:
    """Score one shard of an input.

    Args:
        settings: Location of the object store.
        source_uri: Address of the input, see `open_input`.
        mode: Mode of the release.
        release: Id of a release, or `champion`.
        shard: The shard, for example `0/4`.
        progress: Called with the number of rows read after each chunk.
    """
    parsed_shard = Shard.parse(shard)
    found = find_release(settings, mode, release)
    return score(settings, open_input(settings, source_uri), found, parsed_shard, progress)
