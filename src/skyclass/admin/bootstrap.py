"""Trains and publishes the first release of each mode, once; a later call finds it served.

The chart's Job runs it: `python -m skyclass.admin.bootstrap --mode photometric`.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from skyclass.errors import SkyclassError, TrainingError
from skyclass.logs import start_logging
from skyclass.promotion.champions import ChampionStore, open_champion_store
from skyclass.settings import load_settings
from skyclass.storage.readiness import wait_until_ready
from skyclass.survey.features import Mode

logger = logging.getLogger("skyclass.admin.bootstrap")  # its name as a program is another


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


RunTraining = Callable[[Mapping[str, str], Path, Callable[[str], None]], Run]
"""Runs the training pipeline: its parameters, a folder for its runs, and who hears of its steps."""


@dataclass(frozen=True)
class FirstRelease:
    """A mode's champion after the bootstrap, and whether the bootstrap made it."""

    mode: Mode
    release: str
    made: bool


def bootstrap(
    leading: ChampionStore,
    modes: Sequence[Mode],
    parameters: Mapping[str, str],
    run_training: RunTraining,
    runs: Path,
    patience_seconds: float,
) -> list[FirstRelease]:
    """Give each mode a champion, unless it has one.

    Args:
        leading: Who is champion, and how a release becomes it.
        modes: The modes that are to be served.
        parameters: Of the training pipeline; the mode is added here.
        run_training: Runs the pipeline.
        runs: Folder of the runs.
        patience_seconds: How long to wait until the object store has been provisioned.

    Raises:
        TrainingError: A release was not good enough to be served.
        StoreError: The object store was not ready in time.
    """
    wait_until_ready(lambda: leading.list_promotions(modes[0]), patience_seconds)
    done = []
    for mode in modes:
        champion = leading.get_champion(mode)
        if champion is not None:
            logger.info("%s mode: %s is champion already", mode, champion.id)
            done.append(FirstRelease(mode, champion.id, made=False))
            continue
        logger.info("%s mode: training the first release", mode)
        run = run_training(
            {"reason": "first release", **parameters, "mode": str(mode)},
            runs,
            _tell,
        )
        if not run.promoted:
            raise TrainingError(
                f"the first {mode} release was published but not promoted ({run.verdict}): "
                f"bootstrap with more rows, or promote it by hand (`skyclass promote "
                f"{run.release_id[:12]}`)"
            )
        done.append(FirstRelease(mode, run.release_id, made=True))
    return done


def _tell(step: str) -> None:
    # Past the loggers, which KFP's runner takes for itself while it runs.
    sys.stderr.write(f"step {step}\n")


def main() -> None:
    """Do it with the settings of the environment; a foreseen failure is one line and status 1."""
    from skyclass.orchestration.local_runner import run_training

    parser = argparse.ArgumentParser(prog="bootstrap", description=__doc__)
    parser.add_argument("--mode", type=Mode, action="append", required=True, help="repeatable")
    parser.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="as in the run form"
    )
    parser.add_argument("--patience", type=float, default=600.0, help="seconds for the store")
    given = parser.parse_args()
    parameters = dict(text.partition("=")[::2] for text in given.param)
    start_logging()
    try:
        settings = load_settings()
        done = bootstrap(
            open_champion_store(settings),
            given.mode,
            parameters,
            run_training,
            settings.home / "runs",
            given.patience,
        )
    except SkyclassError as error:
        sys.exit(f"error: {error}")
    for each in done:
        logger.info("%s mode: %s is served", each.mode, each.release)


if __name__ == "__main__":
    main()
