"""Commands for releases: `releases`, `releases show`, `promote` and `rollback`."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from skyclass.cli.options import AsJson, ModeOption
from skyclass.cli.output import err, out, print_json, print_result
from skyclass.settings import load_settings
from skyclass.survey.features import Mode

if TYPE_CHECKING:
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
    if as_json:
        print_json(
            [
                {
                    "id": release.id,
                    "champion": release.id in champion_ids,
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
            _print_table(each, of_mode, champion_ids)


@releases_app.command()
def show(release: ReleaseId) -> None:
    """Print the manifest of a release as JSON."""
    found = _registry().find(release)
    print_json({"id": found.id, **found.manifest.model_dump(mode="json")})


@app.command(rich_help_panel=_PANEL)
def promote(
    release: ReleaseId,
    reason: Annotated[str, typer.Option(help="Reason recorded with the promotion.")] = "by hand",
    as_json: AsJson = False,
) -> None:
    """Make a release the champion of its mode."""
    found = _registry().find(release)
    with err.status(f"promoting {found.id[:12]}"):
        event = _champions().promote(found, reason, load_settings().run_id)
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
    champions = _champions()
    with err.status(f"rolling back {mode}"):
        event = champions.promote(
            champions.get_rollback_target(mode), reason, load_settings().run_id
        )
    print_result(event.model_dump(mode="json"), as_json)


def _registry() -> "Registry":
    from skyclass.registry.releases import Registry
    from skyclass.storage.s3 import ObjectStore

    return Registry(ObjectStore(load_settings()))


def _champions() -> "ChampionStore":
    from skyclass.promotion.champions import open_champion_store

    return open_champion_store(load_settings())


def _print_table(mode: Mode, releases: "list[Release]", champion_ids: set[str]) -> None:
    table = Table(
        title=f"{mode} (* champion)", title_justify="left", box=None, padding=(0, 1, 0, 0)
    )
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
            "*" if release.id in champion_ids else "",
            release.id[:12],
            f"{manifest.created_at:%Y-%m-%d %H:%M}",
            manifest.candidate,
            f"{manifest.training_set.rows:,}",
            f"{random.accuracy:.4f}",
            f"{random.macro_f1:.4f}",
            f"{temporal.macro_f1:.4f}" if temporal else "-",
        )
    out.print(table)
