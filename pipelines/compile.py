"""Writes the compiled pipelines into manifests/kfp: packages to upload, and objects to apply.

For a registry and names of your own, set SKYCLASS_IMAGE, SKYCLASS_S3_SECRET,
SKYCLASS_SIGNING_SECRET, SKYCLASS_SETTINGS or SKYCLASS_KFP_NAMESPACE, and name another folder:
`python -m pipelines.compile FOLDER`.
"""

import hashlib
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kfp import compiler

from pipelines import scoring, training
from pipelines.pods import RETRIES
from pipelines.validation import all_tasks, check_package

FOLDER = Path(__file__).resolve().parents[1] / "manifests" / "kfp"
NAMESPACE = os.environ.get("SKYCLASS_KFP_NAMESPACE", "kubeflow")
"""Where KFP looks for its pipeline objects; this is what a stock KFP does."""


@dataclass(frozen=True)
class Package:
    """A compiled pipeline.

    Attributes:
        name: What the pipeline is called.
        pipeline: KFP's intermediate representation.
        platform: What the pods of the steps are given.
    """

    name: str
    pipeline: dict[str, Any]
    platform: dict[str, Any]

    @property
    def version(self) -> str:
        """Names the version after its content: KFP's versions cannot be changed."""
        return f"{self.name}-{hashlib.sha256(self.text().encode()).hexdigest()[:10]}"

    def text(self) -> str:
        """The package as it is uploaded."""
        return yaml.safe_dump_all([self.pipeline, self.platform], sort_keys=False)

    def objects(self) -> list[dict[str, Any]]:
        """The package as Kubernetes objects, for a KFP that keeps its pipelines so."""
        about = {"description": self.pipeline["pipelineInfo"]["description"]}
        return [
            {
                "apiVersion": "pipelines.kubeflow.org/v2beta1",
                "kind": "Pipeline",
                "metadata": {"name": self.name, "namespace": NAMESPACE},
                "spec": {"displayName": self.name, **about},
            },
            {
                "apiVersion": "pipelines.kubeflow.org/v2beta1",
                "kind": "PipelineVersion",
                "metadata": {"name": self.version, "namespace": NAMESPACE},
                "spec": {
                    "displayName": self.version,
                    **about,
                    "pipelineName": self.name,
                    "pipelineSpec": self.pipeline,
                    "platformSpec": self.platform,
                },
            },
        ]


def training_package() -> Package:
    """Compile the training pipeline."""
    return _package(training.training, training.NAME, training.CHOICES)


def scoring_package() -> Package:
    """Compile the scoring pipeline."""
    return _package(scoring.scoring, scoring.NAME, scoring.CHOICES)


def _package(function: Any, name: str, choices: dict[str, list[str]]) -> Package:
    """Compile a pipeline.

    The closed choices of its parameters are added as `literals`, which the run form of KFP 2.17
    shows as a drop-down; the SDK has no way to say so itself. The retries are added here because
    the local runner would follow them, and repeat every mistake after a pause.

    Raises:
        PackageError: It is not fit to be applied.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "package.yaml"
        compiler.Compiler().compile(function, str(path))
        pipeline, platform = yaml.safe_load_all(path.read_text())
    parameters = pipeline["root"]["inputDefinitions"]["parameters"]
    for parameter, literals in choices.items():
        parameters[parameter]["literals"] = literals
    for tasks in all_tasks(pipeline):
        for task in tasks.values():
            if "parameterIterator" not in task:  # a loop is tried again in its steps
                task["retryPolicy"] = dict(RETRIES)
    package = Package(name, pipeline, platform)
    check_package(package.version, pipeline, platform)
    return package


def render() -> dict[str, str]:
    """Every file of the folder, by name."""
    files = {}
    for name, package in (("training", training_package()), ("scoring", scoring_package())):
        files[f"{name}.yaml"] = package.text()
        files[f"{name}-objects.yaml"] = yaml.safe_dump_all(package.objects(), sort_keys=False)
    return files


def main(folder: Path = FOLDER) -> None:
    """Write the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in render().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main(*(Path(folder) for folder in sys.argv[1:2]))
