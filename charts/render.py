"""Writes manifests/base and manifests/overlays anew from the chart: `make manifests`.

An overlay is the chart with the overlay's values.yaml. What all overlays have in common is the
base; the rest of each lies in its chart.yaml. So nothing is written twice, and nothing by hand.
"""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
MANIFESTS = ROOT / "manifests"
OVERLAYS = ("restricted", "trial")
KUBERNETES = "1.34"
_HEAD = "# Rendered from charts/skyclass by `make manifests`: do not edit.\n"
_HELM_ONLY = ("helm.sh/chart", "app.kubernetes.io/managed-by")


def render(*arguments: str) -> list[dict[str, Any]]:
    """Render the chart, as a cluster with KServe would have it.

    Args:
        arguments: More arguments of `helm template`.
    """
    objects = yaml.load_all(_template(*arguments), yaml.CSafeLoader)
    return [each for each in objects if each]


@cache
def _template(*arguments: str) -> str:
    chart = str(ROOT / "charts/skyclass")
    helm = os.environ.get("HELM", "helm")
    command = [helm, "template", "skyclass", chart, "--kube-version", KUBERNETES, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603


def rendered_files() -> dict[Path, str]:
    """The rendered files of all overlays and their base, by path below manifests/."""
    overlays = {}
    for name in OVERLAYS:
        values = str(MANIFESTS / "overlays" / name / "values.yaml")
        overlays[name] = [_without_helm(each) for each in render("--skip-tests", "-f", values)]
    first, *others = overlays.values()
    common = [each for each in first if all(each in other for other in others)]
    files = {Path("base/chart.yaml"): _text(common)}
    for name, objects in overlays.items():
        own = [each for each in objects if each not in common]
        files[Path("overlays") / name / "chart.yaml"] = _text(own)
    return files


def main() -> None:
    """Write the files; with --security print what a linter should see instead."""
    if sys.argv[1:] == ["--security"]:
        values = ROOT / "charts/skyclass/ci/ingest-values.yaml"
        sys.stdout.write(_text(render("-n", "skyclass", "-f", str(values))))
        return
    for path, text in rendered_files().items():
        (MANIFESTS / path).write_text(text)
        sys.stdout.write(f"manifests/{path}\n")


def _without_helm(manifest: dict[str, Any]) -> dict[str, Any]:
    """Kustomize sets the namespace, and Helm does not manage what it only rendered."""
    metadata = manifest["metadata"]
    metadata.pop("namespace", None)
    for label in _HELM_ONLY:
        metadata.get("labels", {}).pop(label, None)
    for subject in manifest.get("subjects", []):
        if subject["namespace"] == "default":
            del subject["namespace"]
    return manifest


def _text(objects: list[dict[str, Any]]) -> str:
    return _HEAD + yaml.safe_dump_all(objects, sort_keys=False, width=1000)


if __name__ == "__main__":
    main()
