"""The built wheel, installed with its extras, is a complete skyclass."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import skyclass
from skyclass.orchestration.package import DEFAULT_IMAGE

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")


def run(*command: str | Path, folder: Path, **variables: str) -> str:
    """Run a command in a folder, without this repository on its import path."""
    environment = {name: os.environ[name] for name in os.environ if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=folder, env={**environment, **variables}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wheel")


@pytest.fixture(scope="module")
def program(folder: Path) -> Path:
    """`skyclass` in a new environment, with the versions of the lock file."""
    run(UV, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT, folder=folder)
    (wheel,) = folder.glob("*.whl")
    locked = folder / "locked.txt"
    export = ("export", "--quiet", "--frozen", "--no-dev", "--extra", "local", "--no-emit-project")
    run(UV, *export, "--project", ROOT, "--output-file", locked, folder=folder)
    run(UV, "venv", "--quiet", "--python", sys.executable, "venv", folder=folder)
    python = folder / "venv/bin/python"
    install = (UV, "pip", "install", "--quiet", "--python", python)
    run(*install, f"skyclass[local] @ {wheel.as_uri()}", "--constraint", locked, folder=folder)
    return folder / "venv/bin/skyclass"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


@pytest.fixture
def s3(program: Path, empty: Path) -> Iterator[None]:
    """`skyclass s3` of the new environment, running in the empty folder."""
    server = subprocess.Popen([program, "s3"], cwd=empty, stdout=subprocess.PIPE, text=True)
    assert server.stdout
    assert server.stdout.readline().startswith("export AWS_")
    yield
    server.terminate()
    server.wait()


def test_help_is_printed(program: Path, empty: Path) -> None:
    for command in ((), ("demo",), ("submit", "training"), ("serve",)):
        assert "Usage: skyclass" in run(program, *command, "--help", folder=empty)


@pytest.mark.timeout(900)
def test_training_pipeline_runs_in_an_empty_folder(program: Path, s3: None, empty: Path) -> None:
    parameters = ("source_uri=simulated:?rows=1500&era=legacy", "candidates=decision_tree")
    options = [option for each in parameters for option in ("--param", each)]
    printed = run(program, "run", "training", *options, folder=empty)
    assert "release id" in printed
    assert [path.name for path in empty.iterdir()] == [".skyclass"]


def test_package_declares_its_license_and_types(program: Path) -> None:
    installed = program.parents[1] / "lib/python3.11/site-packages"
    (metadata,) = installed.glob("skyclass-*.dist-info/METADATA")
    assert "\nLicense-Expression: Apache-2.0\n" in metadata.read_text()
    assert (installed / "skyclass/py.typed").exists()


def test_there_is_one_version() -> None:
    chart = yaml.safe_load((ROOT / "charts/skyclass/Chart.yaml").read_text())
    assert chart["appVersion"] == skyclass.__version__
    assert f"ARG VERSION={skyclass.__version__}\n" in (ROOT / "Dockerfile").read_text()
    assert DEFAULT_IMAGE.endswith(f":{skyclass.__version__}")
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dynamic"] == ["version"]
