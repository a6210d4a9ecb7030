"""Progress of long work, on a terminal or in a log."""

import time
from types import TracebackType

from rich.console import Console
from rich.status import Status


class ProgressReporter:
    """Prints a line for each finished task, and shows a spinner for the running one.

    A context manager: on exit the spinner is removed, also after an error.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._task = ""
        self._start = time.monotonic()

    def start(self, task: str) -> None:
        """Show a task as running; its time is measured from now."""
        self._task = task
        self._start = time.monotonic()
        self._show_spinner(task)

    def update(self, step: str) -> None:
        """Show the step that the running task has reached."""
        self._show_spinner(f"{self._task}: {step}")

    def finish(self, result: str) -> None:
        """Print the running task as finished, with its time and its result."""
        self._hide_spinner()
        seconds = time.monotonic() - self._start
        line = f"[bold]{self._task}[/bold] [dim]({seconds:.1f} s)[/dim]\n  {result}"
        self._console.print(line, highlight=False, soft_wrap=True)

    def __enter__(self) -> "ProgressReporter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._hide_spinner()

    def _show_spinner(self, text: str) -> None:
        self._hide_spinner()
        self._status = self._console.status(text)
        self._status.start()

    def _hide_spinner(self) -> None:
        if self._status:
            self._status.stop()
        self._status = None
