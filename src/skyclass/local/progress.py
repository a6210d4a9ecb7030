"""Tells a person at a terminal, or the reader of a log, what is happening and what came of it."""

import time
from types import TracebackType

from rich.console import Console
from rich.status import Status


class Teller:
    """One line for each thing that ended, and a spinner for the one under way."""

    def __init__(self, console: Console) -> None:
        """Tell it on a console."""
        self._console = console
        self._status: Status | None = None
        self._what = ""
        self._begun = time.monotonic()

    def begin(self, what: str) -> None:
        """Something begins."""
        self._what = what
        self._begun = time.monotonic()
        self._spin(what)

    def step(self, name: str) -> None:
        """A part of it begins."""
        self._spin(f"{self._what}: {name}")

    def done(self, result: str) -> None:
        """It has ended, with this result."""
        self._still()
        seconds = time.monotonic() - self._begun
        line = f"[bold]{self._what}[/bold] [dim]({seconds:.1f} s)[/dim]\n  {result}"
        self._console.print(line, highlight=False, soft_wrap=True)

    def __enter__(self) -> "Teller":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._still()

    def _spin(self, text: str) -> None:
        self._still()
        self._status = self._console.status(text)
        self._status.start()

    def _still(self) -> None:
        if self._status:
            self._status.stop()
        self._status = None
