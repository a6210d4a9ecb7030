"""The commands of the README's section on Kubernetes, as they stand there."""

import json
import os
import re
import socket
import subprocess
from pathlib import Path

from tests.support.cluster.chart import Installation
from tests.support.cluster.kube import ROOT

INSTALL, ASK, JUDGE, LOOK = re.findall(
    r"```sh\n(.*?)```",
    (ROOT / "README.md").read_text().partition("## On Kubernetes")[2].partition("\n## ")[0],
    re.DOTALL,
)


def follow(commands: str, namespace: str, folder: Path) -> str:
    """Run commands in a namespace of another name, at ports that are free."""
    for port in set(re.findall(r" (\d+):\d+ &", commands)):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            free = str(listener.getsockname()[1])
        commands = re.sub(rf" {port}(:\d+ &)", rf" {free}\1", commands)
        commands = commands.replace(f"127.0.0.1:{port}", f"127.0.0.1:{free}")
    commands = re.sub(r"(-n |namespace |NAMESPACE=)skyclass\b", rf"\1{namespace}", commands)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"trap 'kill $(jobs -p)' EXIT\n{commands}"],  # noqa: S607
        cwd=folder,
        env={**os.environ, "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_an_installation_answers_and_is_judged(installed: Installation, tmp_path: Path) -> None:
    namespace = installed.namespace.name
    assert "helm install skyclass charts/skyclass" in INSTALL  # what `installed` does

    follow(ASK, namespace, tmp_path)
    answers = json.loads((tmp_path / "answers.json").read_text())
    said = follow(JUDGE, namespace, tmp_path)
    follow(LOOK, namespace, tmp_path)

    assert answers["model_version"] == installed.release("spectroscopic")
    assert [each["class"] for each in answers["predictions"]] == ["QSO"] * 600
    assert re.search(r"verdict +drift\b", said), said
    assert "Evidently" in (tmp_path / "report.html").read_text()
