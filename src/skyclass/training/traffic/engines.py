"""Time and memory that the models take, as the predictor runs them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import numpy.typing as npt

from skyclass.errors import TrainingError, one_line
from skyclass.registry.models import Engine
from skyclass.registry.releases import JOBLIB_MODEL, ONNX_MODEL
from skyclass.registry.verdicts import Check, Outcome
from skyclass.training.traffic import limits
from skyclass.training.traffic.disagreement import GROUP

Features = npt.NDArray[np.float32]

_CALLS = 30
"""Timed calls of each model: the median of so many hardly depends on what else the node does."""
_MEASURE_SECONDS = 120


def check_latency(
    challenger: tuple[Engine, Features], champion: tuple[Engine, Features]
) -> Iterator[Check]:
    """Compare the time of a request, by its number of rows.

    The models take turns on the same rows, so that other work on the node slows both.

    Args:
        challenger: Computes probabilities from features, and its features of the rows to predict,
            shape (n, k); repeated if they are too few.
        champion: The same, with the champion's features of the same rows.
    """
    for rows, always_allowed in limits.LATENCY_MS.items():
        batches = [
            (engine, np.resize(features, (rows, features.shape[1])))
            for engine, features in (challenger, champion)
        ]
        times: tuple[list[float], ...] = ([], [])
        for engine, batch in batches:
            engine(batch)  # the first call allocates
        for _ in range(_CALLS):
            for (engine, batch), taken in zip(batches, times, strict=True):
                start = perf_counter()
                engine(batch)
                taken.append(1_000 * (perf_counter() - start))
        yield _compare(
            f"time to predict {rows} row{'s' if rows > 1 else ''} (ms)",
            _CALLS,
            median(times[0]),
            median(times[1]),
            always_allowed,
        )


def check_memory(challenger: int, champion: int) -> Check:
    """Compare the memory of the models, as `measure_memory` returns it."""
    return _compare(
        "memory of the model (MB)", 1, challenger / 1e6, champion / 1e6, limits.MEMORY_MB
    )


def find_served_file(folder: Path, serves_onnx: bool) -> Path:
    """Return the file of a release that the predictor loads."""
    return folder / (ONNX_MODEL if serves_onnx else JOBLIB_MODEL)


def measure_memory(model: Path, features: int) -> int:
    """Return the memory that a model takes to be loaded and to predict a large request (bytes).

    It is measured in a process of its own.

    Raises:
        TrainingError: It could not be loaded.
    """
    command = [sys.executable, "-m", "skyclass.registry.memory", str(model), str(features)]
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter and a file of this run
            command, capture_output=True, text=True, timeout=_MEASURE_SECONDS, check=True
        )
        return int(done.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        lines = str(getattr(error, "stderr", None) or error).splitlines()
        raise TrainingError(  # the last line of a traceback has the error
            f"the memory of {model.name} cannot be measured ({one_line(lines[-1])}): "
            "check the model"
        ) from error


def _compare(
    subject: str, calls: int, challenger: float, champion: float, always_allowed: float
) -> Check:
    limit = max(always_allowed, limits.ENGINE_RATIO * champion)
    return Check(
        group=GROUP,
        subject=subject,
        test=f"at most {limits.ENGINE_RATIO:g} times the champion's, or {always_allowed:g}",
        rows=calls,
        challenger=challenger,
        champion=champion,
        limit=limit,
        outcome=Outcome.REVIEW if challenger > limit else Outcome.PASSED,
    )
