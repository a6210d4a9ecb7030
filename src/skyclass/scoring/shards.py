"""Shards: parts of an input that are scored in parallel."""

from dataclasses import dataclass

from skyclass.errors import CatalogError


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
