"""Runs the training pipeline in KFP's own local runner, in this environment."""

import io
import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kfp import local

from pipelines.arguments import typed
from pipelines.training import training
from skyclass.errors import TrainingError

_COLOUR = re.compile(r"\x1b\[\d+m")
_STARTED = re.compile(r"Executing task '(?P<step>[\w-]+)'")
_EXPLAINED = re.compile(r"\s*skyclass\.errors\.\w+: (?P<message>.+)")


@dataclass(frozen=True)
class LocalRun:
    """A finished run of the training pipeline.

    Attributes:
        release_id: The release that it published.
        promoted: Whether that became the champion.
        verdict: Why, or why not.
        log: Everything that KFP and the steps said.
    """

    release_id: str
    promoted: bool
    verdict: str
    log: Path


def run_training(
    parameters: Mapping[str, str], runs: Path, on_step: Callable[[str], None]
) -> LocalRun:
    """Run the training pipeline, each step as a process of its own.

    Args:
        parameters: Arguments of the pipeline as typed; the others keep their defaults.
        runs: Folder of all local runs.
        on_step: Told the name of each step as it begins.

    Raises:
        TrainingError: A parameter is unknown or malformed, or a step failed; the
            message is the step's own where it gave one.
    """
    arguments = typed(parameters)
    folder = runs / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    folder.mkdir(parents=True)
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder))
    log = folder / "log.txt"
    # KFP suspects every image without "python" in its name of not being able to run the steps.
    warnings.filterwarnings("ignore", message="You may be attemp", category=RuntimeWarning)
    # What pods are given means nothing on one machine.
    warnings.filterwarnings("ignore", message=r"Task '[\w-]+': settings", category=UserWarning)
    with log.open("w") as file:
        heard = _Listener(file, on_step)
        try:
            with redirect_stdout(heard):
                outputs = training(**arguments).outputs
        except RuntimeError as error:
            reason = heard.explanation or f"{error}: see {log}"
            raise TrainingError(f"step {heard.step}: {reason}") from error
    return LocalRun(outputs["release_id"], outputs["promoted"], outputs["verdict"], log)


class _Listener(io.TextIOBase):
    """Keeps what a run prints, and picks out which step runs and what it says when it fails."""

    def __init__(self, file: io.TextIOBase, on_step: Callable[[str], None]) -> None:
        self.step = "start"
        self.explanation = ""
        self._file = file
        self._on_step = on_step

    def write(self, text: str) -> int:
        plain = _COLOUR.sub("", text)
        self._file.write(plain)
        if started := _STARTED.search(plain):
            self.step = started["step"]
            self._on_step(self.step)
        if explained := _EXPLAINED.match(plain):
            self.explanation = explained["message"]
        return len(text)
