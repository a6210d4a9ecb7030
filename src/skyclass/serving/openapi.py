"""Describes the predict addresses to programs, as OpenAPI does."""

from importlib import metadata
from typing import Any

from skyclass.serving.objects import LARGEST, LARGEST_KEY
from skyclass.serving.settings import ServingSettings
from skyclass.serving.tensors import DTYPES, OUTPUTS
from skyclass.survey.features import INPUTS, Mode, model_name
from skyclass.survey.observation import CLASSES, KEY

Schema = dict[str, Any]

_REFUSALS = {
    400: "It cannot be read.",
    405: "The method is not POST.",
    413: "It has more than {max_rows} rows or {max_body_bytes} bytes; send it in parts.",
    415: "The content is not JSON.",
    422: "An object cannot be classified; the message names row and field.",
    503: "The model is being loaded; try again.",
}


def describe_api(mode: Mode, settings: ServingSettings) -> Schema:
    """Describe what one model answers.

    Args:
        mode: The model's mode.
        settings: Limits on requests.
    """
    name = model_name(mode)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": name,
            "version": metadata.version("skyclass"),
            "description": f"Classifies objects of the sky from {', '.join(INPUTS[mode])}.",
        },
        "paths": {
            f"/v1/models/{name}:predict": _post(
                "Classify objects", _v1_request(mode), _v1_answer(), settings
            ),
            f"/v2/models/{name}/infer": _post(
                "Classify objects (Open Inference Protocol)", _v2_request(), _v2_answer(), settings
            ),
        },
    }


def _post(summary: str, request: Schema, answer: Schema, settings: ServingSettings) -> Schema:
    refusal = _object({"error": {"type": "string"}})
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": _json(request)},
            "responses": {
                "200": {"description": "The answer.", "content": _json(answer)},
                **{
                    str(status): {
                        "description": reason.format_map(settings.model_dump()),
                        "content": _json(refusal),
                    }
                    for status, reason in _REFUSALS.items()
                },
            },
        }
    }


def _v1_request(mode: Mode) -> Schema:
    # -9999 stands for what was not measured, and single precision must hold the rest.
    number = {
        "type": "number",
        "minimum": -LARGEST,
        "maximum": LARGEST,
        "not": {"const": -9999},
    }
    key = {"type": "integer", "minimum": 1, "maximum": LARGEST_KEY}
    width = len(INPUTS[mode])
    by_position = {"type": "array", "items": number, "minItems": width, "maxItems": width}
    by_name = {
        **_object(dict.fromkeys(INPUTS[mode], number)),
        "additionalProperties": False,
    }
    with_key = {
        **_object({**dict.fromkeys(INPUTS[mode], number), **dict.fromkeys(KEY, key)}),
        "additionalProperties": False,
    }
    rows = [{"type": "array", "items": by_position}]
    rows.append({"type": "array", "items": {"anyOf": [by_name, with_key]}})
    return _object({"instances": {"anyOf": [{**each, "minItems": 1} for each in rows]}})


def _v1_answer() -> Schema:
    probability = {"type": "number", "minimum": 0, "maximum": 1.000001}
    prediction = _object(
        {
            "class": {"enum": list(CLASSES)},
            "probabilities": _object(dict.fromkeys(CLASSES, probability)),
        }
    )
    prediction["properties"]["flags"] = {"type": "array", "items": {"type": "string"}}
    return _object(
        {
            "predictions": {"type": "array", "items": prediction},
            "model_version": {"type": "string"},
        }
    )


def _v2_request() -> Schema:
    tensor = _object(
        {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "datatype": {"enum": list(DTYPES)},
            "data": {"type": "array"},
        }
    )
    request = _object({"inputs": {"type": "array", "items": tensor, "minItems": 1}})
    request["properties"] |= {
        "id": {"type": "string", "maxLength": 128},
        "parameters": {"type": "object"},
        "outputs": {"type": "array", "items": _object({"name": {"enum": list(OUTPUTS)}})},
    }
    return request


def _v2_answer() -> Schema:
    text = {"type": "string"}
    tensor = _object(
        {
            "name": {"enum": list(OUTPUTS)},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "datatype": {"enum": ["BYTES", "FP32"]},
            "data": {"type": "array"},
        }
    )
    return _object(
        {
            "model_name": text,
            "model_version": text,
            "id": text,
            "outputs": {"type": "array", "items": tensor},
        }
    )


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}
