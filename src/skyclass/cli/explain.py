"""Command for explanations of predictions: `explain`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from skyclass.cli.options import AsJson, ModeOption
from skyclass.cli.output import err, out, print_json
from skyclass.settings import load_settings
from skyclass.survey.features import INPUTS, OPTIONAL_INPUTS, Mode
from skyclass.survey.observation import KEY

app = typer.Typer()
_PANEL = "Predictions"
_OUTPUT_SUFFIXES = (".csv", ".html")


@app.command(rich_help_panel=_PANEL)
def explain(
    file: Annotated[Path, typer.Argument(help="File with one column per input.")],
    row: Annotated[
        list[int] | None,
        typer.Option(help="Number of an object in the file, from 1; repeatable. Default: all."),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(metavar="PLATE,MJD,FIBER", help="Key of an object; repeatable."),
    ] = None,
    mode: ModeOption = Mode.SPECTROSCOPIC,
    release: Annotated[str, typer.Option(help="ID of a release, or `champion`.")] = "champion",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="CSV or HTML file to write; default: text on standard output."
        ),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of the file, for example latin-1; default: UTF-8.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Explain predictions: what each input contributed to the probabilities of an object."""
    from skyclass.explaining.explainer import load_explainer
    from skyclass.explaining.objects import make_inputs, select_objects
    from skyclass.explaining.rendering import describe_explanation, write_explanations
    from skyclass.registry.releases import Registry
    from skyclass.scoring.score import find_release
    from skyclass.storage.s3 import ObjectStore
    from skyclass.tables.objects import read_objects

    if output and output.suffix.lower() not in _OUTPUT_SUFFIXES:
        raise typer.BadParameter(
            f"{output}: end it with {' or '.join(_OUTPUT_SUFFIXES)}", param_hint="-o"
        )
    objects = read_objects(file, INPUTS[mode], OPTIONAL_INPUTS[mode], encoding)
    positions = select_objects(objects, row or [], [_parse_key(text) for text in key or []])
    settings = load_settings()
    found = find_release(settings, mode, release)
    inputs = make_inputs(objects, positions, found)
    with err.status("explaining"):
        explanations = load_explainer(Registry(ObjectStore(settings)), found).explain(inputs)
    names = [objects.locate(position) for position in positions]
    if output:
        write_explanations(output, file.name, found, names, explanations)
        err.print(f"{len(names):,} objects explained: see {output}")
    elif as_json:
        pairs = zip(names, explanations, strict=True)
        print_json([{"object": name, "release": found.id, **asdict(each)} for name, each in pairs])
    else:
        for name, each in zip(names, explanations, strict=True):
            for line in describe_explanation(name, each):
                out.print(line, markup=False, highlight=False, soft_wrap=True)


def _parse_key(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if len(parts) != len(KEY) or not all(part.strip().isdecimal() for part in parts):
        raise typer.BadParameter(f"{text!r}: write plate,mjd,fiber_id", param_hint="--key")
    return tuple(int(part) for part in parts)
