"""Every object is one that the API server would take; a running cluster has the last word."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from charts.render import KUBERNETES, MANIFESTS, OVERLAYS
from tests.chart.test_templates import CI, MONITORING, ci, services

SCHEMAS = Path(__file__).parent / "schemas"


def check(manifest: dict[str, Any]) -> None:
    """Refuse an object that its kind's schema refuses, unknown fields included."""
    _check(json.dumps(manifest, sort_keys=True))


@cache  # most objects are the same with most values
def _check(text: str) -> None:
    manifest = json.loads(text)
    _, _, version = manifest["apiVersion"].rpartition("/")
    schema = SCHEMAS / f"{manifest['kind']}-{version}.json"
    if schema.exists():
        jsonschema.validate(manifest, json.loads(schema.read_text()))
    else:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@pytest.mark.parametrize("name", CI)
def test_objects_of_the_chart(name: str) -> None:
    objects = ci(name, *MONITORING)
    for each in [*objects, *services(objects).values()]:
        check(each)


@pytest.mark.parametrize("name", OVERLAYS)
def test_objects_of_the_overlays(name: str) -> None:
    overlay = MANIFESTS / "overlays" / name
    for file in (MANIFESTS / "base/chart.yaml", overlay / "chart.yaml", overlay / "namespace.yaml"):
        for each in yaml.safe_load_all(file.read_text()):
            check(each)


@pytest.mark.parametrize(
    ("path", "value"),
    [("spec.predictor.minReplica", 1), ("spec.predictor.model.runtime", 5)],
)
def test_a_mistake_in_an_inference_service_is_found(path: str, value: object) -> None:
    service = services(ci("default"))["photometric"]
    *way, last = path.split(".")
    place = service
    for step in way:
        place = place[step]
    place[last] = value

    with pytest.raises(jsonschema.ValidationError):
        check(service)
