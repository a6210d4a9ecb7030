"""Commands that change the champion: `promote` and `rollback`."""

import getpass
from typing import Annotated

import typer

from skyclass.cli.options import AsJson, ModeOption, ReleaseId
from skyclass.cli.output import err, print_result
from skyclass.cli.stores import open_approval_log, open_champions, open_registry
from skyclass.settings import Settings, load_settings
from skyclass.survey.features import Mode

app = typer.Typer()
_PANEL = "Releases"


@app.command(rich_help_panel=_PANEL)
def promote(
    release: ReleaseId,
    reason: Annotated[
        str | None,
        typer.Option(
            help="Reason recorded with the promotion or the decision.", show_default=False
        ),
    ] = None,
    approve: Annotated[
        bool,
        typer.Option(
            "--approve",
            help="Approve a release that waits for it or did not pass its gate, and promote it.",
        ),
    ] = False,
    decline: Annotated[
        bool, typer.Option("--decline", help="Record that the release is not to be promoted.")
    ] = False,
    by: Annotated[
        str | None,
        typer.Option(
            help="Who approves or declines; default: $SKYCLASS_RUN_ID or the user.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a release the champion of its mode, or decide about one that waits for an approval."""
    from skyclass.notifications.event import Kind
    from skyclass.notifications.releases import notify_promotion
    from skyclass.promotion import by_hand

    if approve and decline:
        raise typer.BadParameter("choose one of --approve and --decline", param_hint="--approve")
    if (approve or decline) and not (reason and reason.strip()):
        raise typer.BadParameter("say why: it is recorded with the decision", param_hint="--reason")
    settings, champions, approvals = load_settings(), open_champions(), open_approval_log()
    found = open_registry().find(release)
    if decline:
        decision = by_hand.decline(
            champions, approvals, found, by or _find_user(settings), reason or ""
        )
        print_result(decision.model_dump(mode="json"), as_json)
        return
    with err.status(f"promoting {found.id[:12]}"):
        if approve:
            event = by_hand.approve(
                champions, approvals, found, by or _find_user(settings), reason or ""
            )
        else:
            event = by_hand.promote(
                champions, approvals, found, reason or "by hand", settings.run_id
            )
    notify_promotion(settings, event, Kind.PROMOTED)
    print_result(event.model_dump(mode="json"), as_json)


@app.command(rich_help_panel=_PANEL)
def rollback(
    mode: ModeOption = Mode.SPECTROSCOPIC,
    reason: Annotated[
        str, typer.Option(help="Reason recorded with the promotion.")
    ] = "rolled back by hand",
    as_json: AsJson = False,
) -> None:
    """Make the previous champion of a mode its champion again."""
    from skyclass.notifications.event import Kind
    from skyclass.notifications.releases import notify_promotion

    settings, champions = load_settings(), open_champions()
    with err.status(f"rolling back {mode}"):
        event = champions.promote(champions.get_rollback_target(mode), reason, settings.run_id)
    notify_promotion(settings, event, Kind.ROLLED_BACK)
    print_result(event.model_dump(mode="json"), as_json)


def _find_user(settings: Settings) -> str:
    """Return who runs the command."""
    if "run_id" in settings.model_fields_set:
        return settings.run_id
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        raise typer.BadParameter(
            "the user of this process has no name: pass who decides", param_hint="--by"
        ) from None
