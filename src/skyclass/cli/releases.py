"""Commands for releases: `releases` with `show`, `lineage` and `waiting`; `promote`, `rollback`."""

import getpass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from skyclass.cli.options import AsJson, ModeOption
from skyclass.cli.output import err, out, print_json, print_result
from skyclass.settings import Settings, load_settings
from skyclass.survey.features import Mode

if TYPE_CHECKING:
    from skyclass.promotion.approvals import Approval, ApprovalLog
    from skyclass.promotion.champions import ChampionStore
    from skyclass.registry.releases import Registry, Release

app = typer.Typer()
_PANEL = "Releases"

releases_app = typer.Typer(invoke_without_command=True)
app.add_typer(releases_app, name="releases", rich_help_panel=_PANEL)

ReleaseId = Annotated[str, typer.Argument(help="ID of a release, or its first characters.")]


@releases_app.callback()
def releases(
    context: typer.Context,
    mode: Annotated[Mode | None, typer.Option(help="List releases of this mode only.")] = None,
    as_json: AsJson = False,
) -> None:
    """List releases, oldest first, with the champion marked, or show one."""
    if context.invoked_subcommand:
        return
    registry, champions = _registry(), _champions()
    listed = {each: registry.list_releases(each) for each in ([mode] if mode else Mode)}
    champion_ids = {champion.id for each in listed if (champion := champions.get_champion(each))}
    approvals = {each: _list_approvals(champions, each) for each in listed}
    if as_json:
        states = {each.release: each.state for found in approvals.values() for each in found}
        print_json(
            [
                {
                    "id": release.id,
                    "champion": release.id in champion_ids,
                    "approval": states.get(release.id),
                    **release.manifest.model_dump(mode="json"),
                }
                for of_mode in listed.values()
                for release in of_mode
            ]
        )
        return
    if not any(listed.values()):
        err.print("no releases found: publish one with `skyclass run training`")
    for each, of_mode in listed.items():
        if of_mode:
            _print_table(each, of_mode, champion_ids, approvals[each])


@releases_app.command()
def show(release: ReleaseId) -> None:
    """Print the manifest of a release as JSON."""
    found = _registry().find(release)
    print_json({"id": found.id, **found.manifest.model_dump(mode="json")})


@releases_app.command()
def lineage(release: ReleaseId, as_json: AsJson = False) -> None:
    """Print what a release was made from, and what it has done since."""
    from skyclass.cli.lineage import make_lineage_document, print_lineage
    from skyclass.monitoring.lineage import read_lineage
    from skyclass.promotion.approvals import find_approval
    from skyclass.storage.s3 import ObjectStore
    from skyclass.tables.prediction_history import read_scored_inputs

    settings, registry, champions = load_settings(), _registry(), _champions()
    found = registry.find(release)
    chain = read_lineage(
        ObjectStore(settings),
        found,
        registry.list_releases(found.mode),
        champions.list_promotions(found.mode),
    )
    approval = find_approval(_list_approvals(champions, found.mode), found.id)
    inputs = read_scored_inputs(settings, found.id)
    if as_json:
        print_json(make_lineage_document(chain, approval, inputs))
    else:
        print_lineage(chain, approval, inputs)


@releases_app.command()
def waiting(as_json: AsJson = False) -> None:
    """List the releases that wait for an approval."""
    champions = _champions()
    found = [
        each.request.model_dump(mode="json")
        for mode in Mode
        for each in _list_approvals(champions, mode)
        if each.request and each.state == "waiting"
    ]
    if as_json:
        print_json(found)
        return
    if not found:
        err.print("no release waits for an approval")
    for request in found:
        print_result(request, as_json=False)


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
    settings, champions, approvals = load_settings(), _champions(), _approval_log()
    found = _registry().find(release)
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

    settings, champions = load_settings(), _champions()
    with err.status(f"rolling back {mode}"):
        event = champions.promote(champions.get_rollback_target(mode), reason, settings.run_id)
    notify_promotion(settings, event, Kind.ROLLED_BACK)
    print_result(event.model_dump(mode="json"), as_json)


def _registry() -> "Registry":
    from skyclass.registry.releases import Registry
    from skyclass.storage.s3 import ObjectStore

    return Registry(ObjectStore(load_settings()))


def _champions() -> "ChampionStore":
    from skyclass.promotion.champions import open_champion_store

    return open_champion_store(load_settings())


def _approval_log() -> "ApprovalLog":
    from skyclass.promotion.approvals import ApprovalLog
    from skyclass.storage.s3 import ObjectStore

    return ApprovalLog(ObjectStore(load_settings()))


def _list_approvals(champions: "ChampionStore", mode: Mode) -> "list[Approval]":
    champion = champions.get_champion(mode)
    return _approval_log().list_approvals(mode, champion.id if champion else None)


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


def _print_table(
    mode: Mode,
    releases: "list[Release]",
    champion_ids: set[str],
    approvals: "list[Approval]",
) -> None:
    from skyclass.promotion.approvals import find_waiting

    waiting = find_waiting(approvals)
    marks = {waiting.release: "?"} if waiting else {}
    marks |= dict.fromkeys(champion_ids, "*")
    legend = "* champion, ? waits for approval" if waiting else "* champion"
    table = Table(title=f"{mode} ({legend})", title_justify="left", box=None, padding=(0, 1, 0, 0))
    for heading in ("", "release", "published (UTC)"):
        table.add_column(heading, no_wrap=True)
    table.add_column("candidate", overflow="fold")
    for heading in ("rows", "accuracy", "macro-F1", "temporal"):
        table.add_column(heading, justify="right", no_wrap=True)
    for release in releases:
        manifest = release.manifest
        random = manifest.metrics["random_holdout"]
        temporal = manifest.metrics.get("temporal_holdout")
        table.add_row(
            marks.get(release.id, ""),
            release.id[:12],
            f"{manifest.created_at:%Y-%m-%d %H:%M}",
            manifest.candidate,
            f"{manifest.training_set.rows:,}",
            f"{random.accuracy:.4f}",
            f"{random.macro_f1:.4f}",
            f"{temporal.macro_f1:.4f}" if temporal else "-",
        )
    out.print(table)
