"""Shards: parts of an input that are scored in parallel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from skyclass.errors import CatalogError

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """One of `count` shards of an input; `number` starts at 0."""

    number: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Parse a shard, for example `0/4`, the first of four.

        Raises:
            CatalogError: The text is malformed.
        """
        number, _, count = text.partition("/")
        if not (number.isdigit() and count.isdigit() and int(number) < int(count)):
            raise CatalogError(f"shard is {text!r}, expected for example 0/4 for the first of four")
        return cls(int(number), int(count))

    def select(self, pieces: Sequence[T]) -> Sequence[T]:
        """Return the pieces of the shard: consecutive ones, whose keys are close to each other."""
        first, end = (len(pieces) * each // self.count for each in (self.number, self.number + 1))
        return pieces[first:end]
