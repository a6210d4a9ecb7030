"""Writes the compiled pipelines into manifests/kfp: packages to upload, and objects to apply."""

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import yaml
from kfp import compiler

from pipelines import training

FOLDER = Path(__file__).resolve().parents[1] / "manifests" / "kfp"
NAMESPACE = "kubeflow"
"""Where a stock KFP looks for its pipeline objects."""


def training_package() -> dict[str, Any]:
    """The training pipeline as KFP's intermediate representation.

    The closed choices of its parameters are added as `literals`, which the run form of KFP 2.17
    shows as a drop-down; the SDK has no way to say so itself.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "package.yaml"
        compiler.Compiler().compile(training.training, str(path))
        package: dict[str, Any] = yaml.safe_load(path.read_text())
    parameters = package["root"]["inputDefinitions"]["parameters"]
    for name, choices in training.CHOICES.items():
        parameters[name]["literals"] = choices
    return package


def kubernetes_objects(name: str, package: dict[str, Any]) -> list[dict[str, Any]]:
    """The Pipeline and PipelineVersion objects of a package.

    A version's spec is immutable, so the version is named after its content.
    """
    info = package["pipelineInfo"]
    digest = hashlib.sha256(yaml.safe_dump(package).encode()).hexdigest()[:10]
    about = {"description": info["description"]}
    return [
        {
            "apiVersion": "pipelines.kubeflow.org/v2beta1",
            "kind": "Pipeline",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"displayName": info["displayName"], **about},
        },
        {
            "apiVersion": "pipelines.kubeflow.org/v2beta1",
            "kind": "PipelineVersion",
            "metadata": {"name": f"{name}-{digest}", "namespace": NAMESPACE},
            "spec": {
                "displayName": digest,
                **about,
                "pipelineName": name,
                "pipelineSpec": package,
            },
        },
    ]


def render() -> dict[str, str]:
    """Every file of the folder, by name."""
    package = training_package()
    return {
        "training.yaml": yaml.safe_dump(package, sort_keys=False),
        "training-objects.yaml": yaml.safe_dump_all(
            kubernetes_objects(training.NAME, package), sort_keys=False
        ),
    }


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in render().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
