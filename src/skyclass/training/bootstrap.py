"""Trains and publishes the first release of each mode, once; a later call finds it served."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from skyclass.errors import StoreError, TrainingError
from skyclass.features import Mode
from skyclass.store.champions import Champions

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 2.0


class Run(Protocol):
    """A finished run of the training pipeline."""

    @property
    def release_id(self) -> str:
        """The release that it published."""

    @property
    def promoted(self) -> bool:
        """Whether that became the champion."""

    @property
    def verdict(self) -> str:
        """Why, or why not."""


@dataclass(frozen=True)
class FirstRelease:
    """A mode's champion after the bootstrap, and whether the bootstrap made it."""

    mode: Mode
    release: str
    made: bool


def bootstrap(
    champions: Champions,
    modes: Sequence[Mode],
    parameters: Mapping[str, str],
    run_training: Callable[[Mapping[str, str], Path, Callable[[str], None]], Run],
    runs: Path,
    patience_seconds: float,
) -> list[FirstRelease]:
    """Give each mode a champion, unless it has one.

    Args:
        champions: Who is champion, and how a release becomes it.
        modes: The modes that are to be served.
        parameters: Of the training pipeline; the mode is added here.
        run_training: Runs the pipeline.
        runs: Folder of the runs.
        patience_seconds: How long to wait until the object store has been provisioned.

    Raises:
        TrainingError: A release was not good enough to be served.
        StoreError: The object store was not ready in time.
    """
    _wait_for(champions, modes[0], time.monotonic() + patience_seconds)
    done = []
    for mode in modes:
        champion = champions.champion(mode)
        if champion is not None:
            logger.info("%s mode: %s is champion already", mode, champion.id)
            done.append(FirstRelease(mode, champion.id, made=False))
            continue
        logger.info("%s mode: training the first release", mode)
        run = run_training(
            {"reason": "first release", **parameters, "mode": str(mode)},
            runs,
            lambda step: logger.info("step %s", step),
        )
        if not run.promoted:
            raise TrainingError(
                f"the first {mode} release was published but not promoted ({run.verdict}): "
                f"bootstrap with more rows, or promote it by hand (`skyclass promote "
                f"{run.release_id[:12]}`)"
            )
        done.append(FirstRelease(mode, run.release_id, made=True))
    return done


def _wait_for(champions: Champions, mode: Mode, deadline: float) -> None:
    while True:
        try:
            champions.promotions(mode)
        except StoreError as error:
            if time.monotonic() > deadline:
                raise
            logger.info("waiting: %s", error)
            time.sleep(_PAUSE_SECONDS)
        else:
            return
