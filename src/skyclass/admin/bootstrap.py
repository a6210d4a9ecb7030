"""Train, publish and promote the first release of each mode. Idempotent.

A mode that was served before, as in a restored store, serves its last champion again.

The chart runs it as a Job: `python -m skyclass.admin.bootstrap --mode photometric`.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from skyclass.errors import SkyclassError, TrainingError
from skyclass.logs import start_logging
from skyclass.orchestration.local_runner import LocalRun, run_training
from skyclass.promotion.champions import ChampionStore, open_champion_store
from skyclass.registry.releases import Registry
from skyclass.settings import load_settings
from skyclass.storage.readiness import wait_until_ready
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode

logger = logging.getLogger("skyclass.admin.bootstrap")  # __name__ is __main__ in the Job


RunTraining = Callable[[Mapping[str, str], Path, Callable[[str], None]], LocalRun]
"""`run_training`: pipeline parameters, folder of the runs, callback with each step's name."""


@dataclass(frozen=True)
class FirstRelease:
    """Champion of a mode after the bootstrap.

    Attributes:
        mode: The mode.
        release: Id of the champion.
        made: Whether the bootstrap trained it, as opposed to finding it.
    """

    mode: Mode
    release: str
    made: bool


def bootstrap(
    champions: ChampionStore,
    registry: Registry,
    modes: Sequence[Mode],
    parameters: Mapping[str, str],
    run_training: RunTraining,
    runs: Path,
    readiness_timeout_seconds: float,
) -> list[FirstRelease]:
    """Train a champion for each mode that has none and never had one.

    Args:
        champions: Champions of the installation.
        registry: The releases.
        modes: Modes to be served.
        parameters: Arguments of the training pipeline, except the mode.
        run_training: Runs the pipeline.
        runs: Folder of all local runs.
        readiness_timeout_seconds: How long to wait for the object store to be provisioned.

    Raises:
        PromotionError: The last champion could not be served again.
        TrainingError: A release was not promoted.
        StoreError: The object store was not ready in time.
    """
    wait_until_ready(lambda: champions.list_promotions(modes[0]), readiness_timeout_seconds)
    done = []
    for mode in modes:
        champion = champions.get_champion(mode)
        if champion is not None:
            logger.info("%s mode: champion is already %s", mode, champion.id)
            done.append(FirstRelease(mode, champion.id, made=False))
            continue
        history = champions.list_promotions(mode)
        if history:
            release = registry.read(mode, history[-1].to_release)
            logger.info("%s mode: nothing is served, restoring %s", mode, release.id)
            reason = f"restored: it was promoted at {history[-1].time:%Y-%m-%d %H:%M:%S} UTC"
            champions.promote(release, reason, release.manifest.run_id)
            done.append(FirstRelease(mode, release.id, made=False))
            continue
        logger.info("%s mode: training the first release", mode)
        run = run_training(
            {"reason": "first release", **parameters, "mode": str(mode)},
            runs,
            _report_step,
        )
        if not run.promoted:
            raise TrainingError(
                f"the first {mode} release was published but not promoted ({run.verdict}): "
                f"bootstrap with more rows, or run `skyclass promote {run.release_id[:12]} "
                "--approve --reason WHY`"
            )
        done.append(FirstRelease(mode, run.release_id, made=True))
    return done


def _report_step(step: str) -> None:
    # Not by logging, because KFP's runner replaces the handlers while it runs.
    sys.stderr.write(f"step {step}\n")


def main() -> None:
    """Run the command line; an expected failure is one line and status 1."""
    parser = argparse.ArgumentParser(prog="bootstrap", description=__doc__)
    parser.add_argument("--mode", type=Mode, action="append", required=True, help="repeatable")
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="argument of the pipeline; repeatable",
    )
    parser.add_argument(
        "--timeout", type=float, default=600.0, help="seconds to wait for the store (default: 600)"
    )
    parser.add_argument(  # the former name
        "--patience", dest="timeout", type=float, default=argparse.SUPPRESS, help=argparse.SUPPRESS
    )
    options = parser.parse_args()
    parameters = dict(text.partition("=")[::2] for text in options.param)
    start_logging()
    try:
        settings = load_settings()
        done = bootstrap(
            open_champion_store(settings),
            Registry(ObjectStore(settings)),
            options.mode,
            parameters,
            run_training,
            settings.home / "runs",
            options.timeout,
        )
    except SkyclassError as error:
        sys.exit(f"error: {error}")
    for each in done:
        logger.info("%s mode: %s is served", each.mode, each.release)


if __name__ == "__main__":
    main()
