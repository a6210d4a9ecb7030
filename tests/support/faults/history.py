"""The history of a fault test: what was attempted, what was acknowledged, and what is there."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class History:
    """Records the operations of one test and checks them against what is there afterwards.

    An operation is named by a key, such as a row's key or a release's id. Once acknowledged, it
    must be found exactly once. One that was attempted only may be found once or not at all.

    Attributes:
        attempted: Keys of all operations, including the acknowledged ones.
        acknowledged: Keys of the operations that were reported as done.
        counted_losses: Acknowledged keys that may be lost because the system counts and reports
            them as lost, like rows of the prediction log that waited in the memory of a killed pod.
        found: How often each key was found at the end.
        evidence: What shows that the fault was injected, one sentence per injection.
        recovery_seconds: Longest time from the end of a fault until the system worked again.
    """

    attempted: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)
    counted_losses: set[str] = field(default_factory=set)
    found: Counter[str] = field(default_factory=Counter)
    evidence: list[str] = field(default_factory=list)
    recovery_seconds: float | None = None

    def attempt(self, *keys: str) -> None:
        """Record operations before they are tried."""
        self.attempted.update(keys)

    def acknowledge(self, *keys: str) -> None:
        """Record operations that were reported as done."""
        self.attempted.update(keys)
        self.acknowledged.update(keys)

    def count_losses(self, *keys: str) -> None:
        """Record acknowledged operations that the system itself has counted as lost."""
        self.counted_losses.update(keys)

    def fire(self, evidence: str) -> None:
        """Record that the fault was injected.

        Args:
            evidence: What was seen of it, such as `the process ended with SIGKILL`.
        """
        self.evidence.append(evidence)

    def find(self, keys: Iterable[str]) -> None:
        """Record what is there at the end, with duplicates."""
        self.found.update(keys)

    @contextmanager
    def recovery(self) -> Iterator[None]:
        """Time the block, in which the fault is over and the system must work again."""
        start = time.monotonic()
        yield
        seconds = time.monotonic() - start
        self.recovery_seconds = max(seconds, self.recovery_seconds or 0)

    def list_lost(self) -> list[str]:
        """Return acknowledged keys that were neither found nor counted as lost."""
        return sorted(self.acknowledged - self.found.keys() - self.counted_losses)

    def check(self) -> None:
        """Check the history.

        Raises:
            AssertionError: If the fault was not injected, nothing was acknowledged, the recovery
                was not timed, or a key is lost, doubled or unexplained.
        """
        assert self.evidence, "the fault was not injected"
        assert self.acknowledged, "no operation was acknowledged"
        assert self.recovery_seconds is not None, "the recovery was not timed"
        lost = self.list_lost()
        assert not lost, f"{len(lost)} acknowledged operations are lost: {lost[:5]}"
        doubled = sorted(key for key, times in self.found.items() if times > 1)
        assert not doubled, f"{len(doubled)} operations are there more than once: {doubled[:5]}"
        unexplained = sorted(self.found.keys() - self.attempted)
        assert not unexplained, f"{len(unexplained)} keys that nobody wrote: {unexplained[:5]}"
