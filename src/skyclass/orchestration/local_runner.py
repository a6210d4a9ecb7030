"""Compiled pipelines in KFP's local runner: each step is a process on this machine."""

import io
import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kfp import local
from kfp.components import load_component_from_text

from skyclass.errors import TrainingError
from skyclass.logs import find_error
from skyclass.orchestration.arguments import Arguments, parse_training_arguments
from skyclass.orchestration.package import TRAINING, Package, load_package

_COLOUR = re.compile(r"\x1b\[\d+m")
_STEP_STARTED = re.compile(r"Executing task '(?P<step>[\w-]+)'")


@dataclass(frozen=True)
class LocalRun:
    """Result of a run of the training pipeline.

    Attributes:
        release_id: Id of the published release.
        promoted: Whether the release became champion.
        verdict: Reason for the promotion, or against it.
        log: File with the output of KFP and of the steps.
        waits_for_approval: Whether the release waits until a person approves it.
    """

    release_id: str
    promoted: bool
    verdict: str
    log: Path
    waits_for_approval: bool = False


def run_training(
    parameters: Mapping[str, str], runs: Path, on_step: Callable[[str], None]
) -> LocalRun:
    """Run the training pipeline.

    Args:
        parameters: Pipeline arguments as text; the others keep their defaults.
        runs: Folder of all local runs.
        on_step: Called with the name of each step when it starts.

    Raises:
        TrainingError: A parameter is unknown or malformed, or a step failed; the message is the
            step's own if it has one.
    """
    package = load_package(TRAINING)
    arguments = parse_training_arguments(package, parameters)
    folder = runs / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    outputs = run_package(package, arguments, folder, on_step)
    return LocalRun(
        outputs["release_id"],
        outputs["promoted"],
        outputs["verdict"],
        folder / "log.txt",
        outputs["waits_for_approval"],
    )


def run_package(
    package: Package,
    arguments: Arguments,
    folder: Path,
    on_step: Callable[[str], None] = lambda step: None,
) -> dict[str, Any]:
    """Run a compiled pipeline. Returns its outputs.

    Args:
        package: The pipeline.
        arguments: Its arguments; the others keep their defaults.
        folder: New folder for the artifacts and `log.txt`.
        on_step: Called with the name of each step when it starts.

    Raises:
        TrainingError: A step failed; the message is the step's own if it has one.
    """
    component = load_component_from_text(_without_retries(package).text)
    folder.mkdir(parents=True)
    log = folder / "log.txt"
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder))
    with log.open("w") as file, warnings.catch_warnings():
        # The image name lacks "python", and the settings of pods do not apply here.
        warnings.filterwarnings("ignore", message="You may be attemp", category=RuntimeWarning)
        warnings.filterwarnings("ignore", message=r"Task '[\w-]+': settings", category=UserWarning)
        output = _RunnerOutput(file, on_step)
        try:
            with redirect_stdout(output):
                return component(**arguments).outputs
        except RuntimeError as error:
            reason = output.step_error or f"{error}: see {log}"
            raise TrainingError(f"step {output.step}: {reason}") from error


def _without_retries(package: Package) -> Package:
    """Return a copy without retries: the local runner would repeat users' mistakes, too."""
    copy = deepcopy(package)
    for tasks in copy.task_graphs:
        for task in tasks.values():
            task.pop("retryPolicy", None)
    return copy


class _RunnerOutput(io.TextIOBase):
    """Writes the runner's output to the log, and detects started steps and their errors."""

    def __init__(self, log: io.TextIOBase, on_step: Callable[[str], None]) -> None:
        self.step = "start"
        self.step_error = ""
        self._log = log
        self._on_step = on_step

    def write(self, text: str) -> int:
        plain = _COLOUR.sub("", text)
        self._log.write(plain)
        if started := _STEP_STARTED.search(plain):
            self.step = started["step"]
            self._on_step(self.step)
        self.step_error = find_error(plain) or self.step_error
        return len(text)
