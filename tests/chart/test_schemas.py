"""All rendered objects are valid for the Kubernetes API and the custom resource definitions."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from charts.render import KUBERNETES, MANIFESTS, OVERLAYS
from tests.chart.test_templates import CI, MONITORING, parse_inference_services, render_ci

SCHEMAS = Path(__file__).parent / "schemas"


def validate(manifest: dict[str, Any]) -> None:
    """Validate an object with the schema of its kind, which rejects unknown fields."""
    _validate(json.dumps(manifest, sort_keys=True))


@cache  # most objects are the same for most values
def _validate(text: str) -> None:
    manifest = json.loads(text)
    _, _, version = manifest["apiVersion"].rpartition("/")
    schema = SCHEMAS / f"{manifest['kind']}-{version}.json"
    if schema.exists():
        jsonschema.validate(manifest, json.loads(schema.read_text()))
    else:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@pytest.mark.parametrize("name", CI)
def test_objects_of_the_chart_are_valid(name: str) -> None:
    objects = render_ci(name, *MONITORING)
    for each in [*objects, *parse_inference_services(objects).values()]:
        validate(each)


@pytest.mark.parametrize("name", OVERLAYS)
def test_objects_of_the_overlays_are_valid(name: str) -> None:
    overlay = MANIFESTS / "overlays" / name
    for file in (MANIFESTS / "base/chart.yaml", overlay / "chart.yaml", overlay / "namespace.yaml"):
        for each in yaml.safe_load_all(file.read_text()):
            validate(each)


@pytest.mark.parametrize(
    ("path", "value"),
    [("spec.predictor.minReplica", 1), ("spec.predictor.model.runtime", 5)],
)
def test_an_invalid_inference_service_is_rejected(path: str, value: object) -> None:
    service = parse_inference_services(render_ci("default"))["photometric"]
    *parents, key = path.split(".")
    target = service
    for parent in parents:
        target = target[parent]
    target[key] = value

    with pytest.raises(jsonschema.ValidationError):
        validate(service)
