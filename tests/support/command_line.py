"""Commands of `skyclass`, run in this process."""

from dataclasses import dataclass

import pytest

from skyclass.cli import main


@dataclass(frozen=True)
class CommandResult:
    """Exit status and output of a command."""

    status: int
    out: str
    err: str


class CommandLine:
    """Runs commands as a shell does, without the start of a process."""

    def __init__(self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capture = patch, capture

    def run(self, *arguments: str) -> CommandResult:
        self._patch.setattr("sys.argv", ["skyclass", *arguments])
        with pytest.raises(SystemExit) as exited:
            main()
        status = exited.value.code
        assert isinstance(status, int)
        return CommandResult(status, *self._capture.readouterr())

    def run_failing(self, *arguments: str) -> str:
        """Run a command that fails with one line on standard error, and return this line."""
        result = self.run(*arguments)
        assert (result.status, result.out) == (1, "")
        assert "Traceback" not in result.err
        (line,) = [line for line in result.err.splitlines() if line.startswith("error: ")]
        assert result.err.rstrip().endswith(line)
        return line
