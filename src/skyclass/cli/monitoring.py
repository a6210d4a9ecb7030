"""Command for monitoring: `drift`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from skyclass.cli.options import AsJson, ModeOption
from skyclass.cli.output import err, print_json, print_result
from skyclass.errors import MonitoringError
from skyclass.settings import load_settings
from skyclass.survey.features import Mode

if TYPE_CHECKING:
    from skyclass.monitoring.decisions import Decision
    from skyclass.promotion.champions import ChampionStore
    from skyclass.storage.s3 import ObjectStore

app = typer.Typer()
_PANEL = "Monitoring"

_TIME_FORMATS = ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"]


class Retrain(StrEnum):
    """Backend of the training pipeline when drift persists or accuracy has fallen."""

    NEVER = "never"
    HERE = "here"
    KFP = "kfp"


@app.command(rich_help_panel=_PANEL)
def drift(
    mode: ModeOption = Mode.SPECTROSCOPIC,
    start: Annotated[
        datetime | None,
        typer.Option(
            formats=_TIME_FORMATS,
            metavar="TIME",
            help="Start of the window in UTC, inclusive, e.g. 2026-05-01 or 2026-05-01T06:00Z; "
            "default: yesterday.",
        ),
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option(
            formats=_TIME_FORMATS,
            metavar="TIME",
            help="End of the window in UTC, exclusive; default: today.",
        ),
    ] = None,
    retrain: Annotated[
        Retrain,
        typer.Option(
            help="Where to retrain when drift persists or accuracy has fallen: on this machine or "
            "KFP."
        ),
    ] = Retrain.NEVER,
    as_json: AsJson = False,
) -> None:
    """Evaluate one window of the prediction log for drift.

    Then join labels that arrived since to the windows of the last 14 days and measure their
    accuracy. With --retrain, also decide whether to retrain, roll back or wait.
    """
    from skyclass.monitoring.accuracy_job import update_accuracy
    from skyclass.monitoring.drift_job import run_drift
    from skyclass.monitoring.verdict import Verdict
    from skyclass.notifications.windows import notify_windows
    from skyclass.promotion.champions import open_champion_store
    from skyclass.storage.s3 import ObjectStore

    settings = load_settings()
    store, served = ObjectStore(settings), open_champion_store(settings)
    with err.status("evaluating the window"):
        result = run_drift(store, served, mode, _as_utc(start), _as_utc(end))
    with err.status("measuring accuracy"):
        update_accuracy(store, served, mode)
    found = result.verdict
    decision = None
    try:
        if retrain is not Retrain.NEVER and found.window_end <= datetime.now(UTC):
            decision = _close_loop(store, served, mode, retrain)
    finally:  # a run that cannot be started is an event, too
        with err.status("sending notifications"):
            notify_windows(settings, mode)
    if as_json:
        print_json(
            {
                **found.model_dump(mode="json"),
                **({"decision": decision.model_dump(mode="json")} if decision else {}),
            }
        )
    else:
        window = f"{found.window_start:%Y-%m-%d %H:%M} to {found.window_end:%Y-%m-%d %H:%M} UTC"
        print_result(
            {
                "verdict": found.verdict,
                "reason": found.reason,
                "mode": found.mode,
                "window": window,
                "rows": found.accounting.rows_used,
                **_describe_left_out(found.accounting.other_releases),
                "release": found.release,
                "report": f"s3://{settings.reports_bucket}/{result.prefix}report.html",
                **({decision.action: decision.reason} if decision else {}),
            },
            as_json=False,
        )
    if found.verdict is Verdict.ERROR:
        raise MonitoringError(found.reason)


def _describe_left_out(rows_by_release: Mapping[str, int]) -> dict[str, str]:
    """Return the line about predictions of other releases, if there are any."""
    if not rows_by_release:
        return {}
    parts = [f"{rows:,} rows of release {each[:12]}" for each, rows in rows_by_release.items()]
    return {"left_out": ", ".join(parts)}


def _close_loop(
    store: "ObjectStore", served: "ChampionStore", mode: Mode, retrain: Retrain
) -> "Decision":
    from skyclass.monitoring.loop import Trainer, close_loop
    from skyclass.monitoring.settings import RetrainingSettings
    from skyclass.orchestration.retrain import KfpTrainer, LocalTrainer
    from skyclass.orchestration.submit import connect
    from skyclass.settings import load

    options, now = load(RetrainingSettings), datetime.now(UTC)
    trainer: Trainer
    if retrain is Retrain.KFP:
        trainer = KfpTrainer(connect(None))
    else:
        trainer = LocalTrainer(store.settings.home / "runs")
    with err.status("deciding whether to retrain"):
        return close_loop(store, served, mode, trainer, options, now)


def _as_utc(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time else None
