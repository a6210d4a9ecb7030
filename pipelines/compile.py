"""Compile the pipelines into packages to upload and Kubernetes objects to apply.

`python -m pipelines.compile` writes manifests/kfp, which also ships with the library.
`python -m pipelines.compile FOLDER` writes a folder with your image and names, as set by
SKYCLASS_IMAGE, SKYCLASS_S3_SECRET, SKYCLASS_SIGNING_SECRET, SKYCLASS_NOTIFICATION_SECRET,
SKYCLASS_SETTINGS and SKYCLASS_KFP_NAMESPACE.
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from kfp import compiler

from pipelines import scoring, training
from pipelines.pods import RETRY_POLICY
from skyclass.orchestration.package import (
    DEFAULT_NAMES,
    SCORING,
    TRAINING,
    Package,
    PackageNames,
)
from skyclass.settings import load

FOLDER = Path(__file__).resolve().parents[1] / "manifests" / "kfp"


def compile_packages() -> dict[str, Package]:
    """Compile all pipelines, with default names."""
    return {
        TRAINING: compile_pipeline(training.training, training.CHOICES),
        SCORING: compile_pipeline(scoring.scoring, scoring.CHOICES),
    }


def compile_pipeline(pipeline: Any, choices: Mapping[str, list[str]]) -> Package:
    """Compile a pipeline and add what the SDK cannot express.

    `literals` make the run form of KFP 2.17 show a drop-down. `set_retry` would set only part of
    the retry policy.

    Args:
        pipeline: Function decorated with `dsl.pipeline`.
        choices: Accepted values of its parameters.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "package.yaml"
        compiler.Compiler().compile(pipeline, str(file))
        package = Package.from_text(file.read_text())
    parameters = package.pipeline["root"]["inputDefinitions"]["parameters"]
    for name, literals in choices.items():
        parameters[name]["literals"] = literals
    for tasks in package.task_graphs:
        for task in tasks.values():
            if "parameterIterator" not in task:  # the tasks of a loop are retried, not the loop
                task["retryPolicy"] = dict(RETRY_POLICY)
    return package


def make_objects(package: Package, namespace: str) -> list[dict[str, Any]]:
    """Return a package as Kubernetes objects, for a KFP that stores its pipelines so."""
    return [
        {
            "apiVersion": "pipelines.kubeflow.org/v2beta1",
            "kind": "Pipeline",
            "metadata": {"name": package.name, "namespace": namespace},
            "spec": {"displayName": package.name, "description": package.description},
        },
        {
            "apiVersion": "pipelines.kubeflow.org/v2beta1",
            "kind": "PipelineVersion",
            "metadata": {"name": package.version, "namespace": namespace},
            "spec": {
                "displayName": package.version,
                "description": package.description,
                "pipelineName": package.name,
                "pipelineSpec": package.pipeline,
                "platformSpec": package.platform,
            },
        },
    ]


def write_packages(folder: Path, names: PackageNames) -> None:
    """Write packages and Kubernetes objects of all pipelines into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for pipeline, compiled in compile_packages().items():
        package = compiled.rename(names)
        objects = make_objects(package, names.kfp_namespace)
        (folder / f"{pipeline}.yaml").write_text(package.text)
        (folder / f"{pipeline}-objects.yaml").write_text(
            yaml.safe_dump_all(objects, sort_keys=False)
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        write_packages(Path(sys.argv[1]), load(PackageNames))
    else:
        write_packages(FOLDER, DEFAULT_NAMES)
