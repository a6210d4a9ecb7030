"""Renders the manifests, and the chart's README and policies: `make manifests`.

An overlay is the chart rendered with the overlay's values.yaml. Objects that are the same in all
overlays are written to the base, the others to the overlay's chart.yaml.
"""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from charts.policies import POLICIES, generate_policies
from charts.readme import CHART, README, generate_readme

ROOT = Path(__file__).resolve().parents[1]
MANIFESTS = ROOT / "manifests"
OVERLAYS = ("restricted", "trial")
KUBERNETES = "1.34"
_HEAD = "# Rendered from charts/skyclass by `make manifests`: do not edit.\n"
_HELM_LABELS = ("helm.sh/chart", "app.kubernetes.io/managed-by")


def render(*arguments: str) -> list[dict[str, Any]]:
    """Render the chart.

    Args:
        arguments: Additional arguments of `helm template`.
    """
    objects = yaml.load_all(run_helm_template(*arguments), yaml.CSafeLoader)
    return [each for each in objects if each]


@cache
def run_helm_template(*arguments: str) -> str:
    """Return what `helm template` prints.

    Args:
        arguments: Additional arguments.
    """
    helm = os.environ.get("HELM", "helm")
    command = [helm, "template", "skyclass", str(CHART), "--kube-version", KUBERNETES, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603


def render_files() -> dict[Path, str]:
    """Return the contents of the generated files, by path."""
    overlays = {}
    for name in OVERLAYS:
        values = str(MANIFESTS / "overlays" / name / "values.yaml")
        overlays[name] = [_prepare(each) for each in render("--skip-tests", "-f", values)]
    first, *others = overlays.values()
    common = [each for each in first if all(each in other for other in others)]
    files = {
        MANIFESTS / "base/chart.yaml": _dump(common),
        README: generate_readme(),
        POLICIES: generate_policies(),
    }
    for name, objects in overlays.items():
        own = [each for each in objects if each not in common]
        files[MANIFESTS / "overlays" / name / "chart.yaml"] = _dump(own)
    return files


def main() -> None:
    """Write the files; with --security, print manifests for a security linter instead."""
    if sys.argv[1:] == ["--security"]:
        values = CHART / "ci/ingest-values.yaml"
        sys.stdout.write(_dump(render("-n", "skyclass", "-f", str(values))))
        return
    for path, text in render_files().items():
        path.write_text(text)
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")


def _prepare(manifest: dict[str, Any]) -> dict[str, Any]:
    """Adapt a manifest to Kustomize, which sets namespaces and generates no keys."""
    metadata = manifest["metadata"]
    metadata.pop("namespace", None)
    for label in _HELM_LABELS:
        metadata.get("labels", {}).pop(label, None)
    for subject in manifest.get("subjects", []):
        if subject["namespace"] == "default":
            del subject["namespace"]
    if manifest["kind"] == "Secret":
        del manifest["data"]
        identity = metadata["name"].rpartition("-")[2]
        manifest["stringData"] = {
            "AWS_ACCESS_KEY_ID": f"skyclass-{identity}",
            "AWS_SECRET_ACCESS_KEY": f"for-trials-only-{identity}",
        }
    return manifest


def _dump(objects: list[dict[str, Any]]) -> str:
    return _HEAD + yaml.safe_dump_all(objects, sort_keys=False, width=1000)


if __name__ == "__main__":
    main()
