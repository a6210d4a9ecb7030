"""Options that several commands share, and the conversion of their values."""

from pathlib import Path
from typing import Annotated

import typer

from skyclass.survey.features import Mode


def normalize_prefix(text: str) -> str:
    """Return a path prefix with a slash at its start and none at its end; the root is empty."""
    path = text.strip("/")
    return f"/{path}" if path else ""


AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
ModeOption = Annotated[Mode, typer.Option(help="Inputs of the model: with or without redshift.")]
ReleaseId = Annotated[str, typer.Argument(help="ID of a release, or its first characters.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--param", metavar="NAME=VALUE", help="Set a parameter of the pipeline; repeatable."
    ),
]
Host = Annotated[str, typer.Option(help="Address of the network interface to listen on.")]
MAX_PORT = 65_535
Port = Annotated[int, typer.Option(min=0, max=MAX_PORT, help="Port to listen on.")]
RootPath = Annotated[
    str,
    typer.Option(callback=normalize_prefix, help="Path prefix that a reverse proxy adds."),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        help="File with the bearer token for the predictor; it is read before each request.",
        envvar="SKYCLASS_ENDPOINT_TOKEN_FILE",
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        help="PEM file with the CA certificate of an https predictor; default: the system's.",
        envvar="SKYCLASS_ENDPOINT_CA_FILE",
    ),
]
ProbePort = Annotated[
    int | None,
    typer.Option(
        min=1,  # a free port is unknown to `ProbePort`, which would serve everything there
        max=MAX_PORT,
        help="Port of all interfaces for /healthz and /metrics only.",
        show_default="none",
    ),
]
Login = Annotated[
    bool,
    typer.Option(
        "--login",
        help="An oauth2-proxy is in front: show its user and a link to sign out. Only where "
        "nothing else can connect, because anybody can send the header X-Forwarded-Email.",
    ),
]


def parse_parameters(texts: list[str] | None) -> dict[str, str]:
    """Split `name=value` texts.

    Raises:
        BadParameter: A text has no equals sign.
    """
    parameters = {}
    for text in texts or []:
        name, separator, value = text.partition("=")
        if not separator:
            raise typer.BadParameter(f"{text!r}: write name=value", param_hint="--param")
        parameters[name.strip()] = value
    return parameters
