"""Commands that list releases and show one: `releases` with `show`, `lineage` and `waiting`."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from skyclass.cli.options import AsJson, ReleaseId
from skyclass.cli.output import err, out, print_json, print_result
from skyclass.cli.stores import list_approvals, open_champions, open_registry
from skyclass.settings import load_settings
from skyclass.survey.features import Mode

if TYPE_CHECKING:
    from skyclass.promotion.approvals import Approval
    from skyclass.registry.releases import Release

app = typer.Typer()
_PANEL = "Releases"

releases_app = typer.Typer(invoke_without_command=True)
app.add_typer(releases_app, name="releases", rich_help_panel=_PANEL)


@releases_app.callback()
def releases(
    context: typer.Context,
    mode: Annotated[Mode | None, typer.Option(help="List releases of this mode only.")] = None,
    as_json: AsJson = False,
) -> None:
    """List releases, oldest first, with the champion marked, or show one."""
    if context.invoked_subcommand:
        return
    registry, champions = open_registry(), open_champions()
    listed = {each: registry.list_releases(each) for each in ([mode] if mode else Mode)}
    champion_ids = {champion.id for each in listed if (champion := champions.get_champion(each))}
    approvals = {each: list_approvals(champions, each) for each in listed}
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
    found = open_registry().find(release)
    print_json({"id": found.id, **found.manifest.model_dump(mode="json")})


@releases_app.command()
def lineage(release: ReleaseId, as_json: AsJson = False) -> None:
    """Print what a release was made from, and what it has done since."""
    from skyclass.cli.lineage import make_lineage_document, print_lineage
    from skyclass.monitoring.lineage import read_lineage
    from skyclass.promotion.approvals import find_approval
    from skyclass.storage.s3 import ObjectStore
    from skyclass.tables.prediction_history import read_scored_inputs

    settings, registry, champions = load_settings(), open_registry(), open_champions()
    found = registry.find(release)
    chain = read_lineage(
        ObjectStore(settings),
        found,
        registry.list_releases(found.mode),
        champions.list_promotions(found.mode),
    )
    approval = find_approval(list_approvals(champions, found.mode), found.id)
    inputs = read_scored_inputs(settings, found.id)
    if as_json:
        print_json(make_lineage_document(chain, approval, inputs))
    else:
        print_lineage(chain, approval, inputs)


@releases_app.command()
def waiting(as_json: AsJson = False) -> None:
    """List the releases that wait for an approval."""
    champions = open_champions()
    found = [
        each.request.model_dump(mode="json")
        for mode in Mode
        for each in list_approvals(champions, mode)
        if each.request and each.state == "waiting"
    ]
    if as_json:
        print_json(found)
        return
    if not found:
        err.print("no release waits for an approval")
    for request in found:
        print_result(request, as_json=False)


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
