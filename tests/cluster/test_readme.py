"""The commands in the README's section on Kubernetes."""

import json
import os
import re
import subprocess
from pathlib import Path

from skyclass.local.ports import find_free_ports
from tests.support.cluster.chart import Installation
from tests.support.cluster.kube import ROOT

INSTALL, PREDICT, EVALUATE, FETCH = re.findall(
    r"```sh\n(.*?)```",
    (ROOT / "README.md").read_text().partition("## On Kubernetes")[2].partition("\n## ")[0],
    re.DOTALL,
)


def run_commands(commands: str, namespace: str, folder: Path) -> str:
    """Run commands with another namespace and with free ports, and return their output."""
    ports = set(re.findall(r" (\d+):\d+ &", commands))
    for port, free in zip(ports, find_free_ports(len(ports)), strict=True):
        commands = re.sub(rf" {port}(:\d+ &)", rf" {free}\1", commands)
        commands = commands.replace(f"127.0.0.1:{port}", f"127.0.0.1:{free}")
    commands = re.sub(r"(-n |namespace |NAMESPACE=)skyclass\b", rf"\1{namespace}", commands)
    completed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"trap 'kill $(jobs -p)' EXIT\n{commands}"],  # noqa: S607
        cwd=folder,
        env={**os.environ, "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    output = completed.stdout
    assert completed.returncode == 0, f"{commands}\n{output}{completed.stderr}"
    return output


def test_an_installation_predicts_and_evaluates_drift(
    installed: Installation, tmp_path: Path
) -> None:
    namespace = installed.namespace.name
    assert "helm install skyclass charts/skyclass" in INSTALL  # as the fixture does

    run_commands(PREDICT, namespace, tmp_path)
    response = json.loads((tmp_path / "answers.json").read_text())
    output = run_commands(EVALUATE + FETCH, namespace, tmp_path)  # FETCH uses a variable

    assert response["model_version"] == installed.get_release("spectroscopic")
    assert [each["class"] for each in response["predictions"]] == ["QSO"] * 600
    assert re.search(r"verdict +drift\b", output), output
    assert "Evidently" in (tmp_path / "report.html").read_text()
