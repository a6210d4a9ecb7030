"""Generates the JSON schemas in this folder from CustomResourceDefinitions, once per version.

Descriptions and fields that the chart does not use are omitted. The schemas reject omitted fields, so
that a test fails when the chart starts to use one. Both projects use the Apache License 2.0.

    dir() { go mod download -json "$1" | jq -r .Dir; }
    python -m tests.chart.schemas \\
        "$(dir github.com/kserve/kserve@v0.20.0)"/config/crd/full/serving.kserve.io_{inferenceservices,servingruntimes}.yaml \\
        "$(dir github.com/prometheus-operator/prometheus-operator@v0.85.0)"/example/prometheus-operator-crd/monitoring.coreos.com_{podmonitors,prometheusrules}.yaml
"""  # noqa: E501 - commands to copy

import json
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
_OMITTED = {
    "canary", "containers@predictor", "dnsConfig", "ephemeralContainers", "explainer",
    "huggingface", "initContainers", "lightgbm", "logger", "onnx", "paddle", "pmml", "pytorch",
    "resourceClaims", "sklearn", "status", "tensorflow", "transformer", "triton",
    "volumes@predictor", "workerSpec", "xgboost",
}  # fmt: skip
_OPAQUE = {"affinity"}  # validated in the Deployments, which have the same value
_KEPT = ("$ref", "enum", "items", "maximum", "maxLength", "minimum", "minLength",
         "properties", "required", "type", "additionalProperties", "anyOf")  # fmt: skip


def trim(schema: Any, where: str = "") -> Any:
    """Return a strict schema without the omitted fields and without Go's patterns."""
    if not isinstance(schema, dict):
        return schema
    found = {key: schema[key] for key in _KEPT if key in schema}
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    if "items" in found:
        found["items"] = trim(found["items"], where)
    if isinstance(found.get("additionalProperties"), dict):
        found["additionalProperties"] = trim(found["additionalProperties"], where)
    if "properties" in found:
        found["properties"] = {
            name: {"type": "object"} if name in _OPAQUE else trim(inner, name)
            for name, inner in found["properties"].items()
            if not {name, f"{name}@{where}"} & _OMITTED
        }
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            found.setdefault("additionalProperties", False)
    return found


def main(definitions: list[str]) -> None:
    """Write a schema for every definition."""
    for path in definitions:
        definition = yaml.safe_load(Path(path).read_text())["spec"]
        (version,) = (each for each in definition["versions"] if each["storage"])
        schema = trim(version["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = {"type": "object"}  # validated by the API server
        name = f"{definition['names']['kind']}-{version['name']}.json"
        (HERE / name).write_text(json.dumps(schema, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
