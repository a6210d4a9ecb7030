"""The OpenAPI description of the V1 and V2 prediction endpoints."""

from importlib import metadata
from typing import Annotated, Any

import msgspec

from skyclass.serving.inputs import MAX_KEY, describe_inputs
from skyclass.serving.options import Options
from skyclass.serving.protocol.v1_response import PredictResponse
from skyclass.serving.protocol.v2 import InferRequest, InferResponse
from skyclass.serving.settings import ServingSettings
from skyclass.survey.features import INPUTS, MAX_INPUT, OPTIONAL_INPUTS, Mode, model_name
from skyclass.survey.observation import KEY
from skyclass.tables.catalogue.columns import FACTS

Schema = dict[str, Any]

_VERSION: Schema = {
    "name": "version",
    "in": "path",
    "required": True,
    "description": "Id of the release.",
    "schema": {"type": "string"},
}
_ERRORS = {
    400: "The request cannot be parsed.",
    405: "The method is not POST.",
    413: "The request has more than {max_rows} rows or {max_body_bytes} bytes.",
    415: "The content type is not JSON, or the content encoding not gzip or deflate.",
    422: "A row cannot be classified; the message names row and field.",
    503: "The model is loading; retry.",
}


class ErrorResponse(msgspec.Struct):
    """The response to a rejected request."""

    error: str


def describe_api(mode: Mode, settings: ServingSettings) -> Schema:
    """Return the OpenAPI document of one model.

    Args:
        mode: Mode of the model.
        settings: Limits on requests.
    """
    name = model_name(mode)
    by_position, by_name, with_key = _describe_rows(mode)
    position_rows: Any = list[by_position]  # type: ignore[valid-type]
    types: list[Any] = [
        Annotated[position_rows, msgspec.Meta(min_length=1)],
        *(by_name, with_key, PredictResponse, InferRequest, InferResponse, ErrorResponse, Options),
    ]
    (positions, row, keyed, v1_response, v2_request, v2_response, error, _), components = (
        msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    )
    options = components.pop("Options")["properties"]
    by_names = {"type": "array", "minItems": 1, "items": {"anyOf": [row, keyed]}}
    v1_request = {
        "type": "object",
        "properties": {"instances": {"anyOf": [positions, by_names]}, **options},
        "required": ["instances"],
    }
    errors = {
        str(status): _describe_error(reason.format_map(settings.model_dump()), error)
        for status, reason in _ERRORS.items()
    }

    def describe_post(
        summary: str, request: Schema, response: Schema, responses: Schema = errors
    ) -> Schema:
        return {
            "post": {
                "summary": summary,
                "requestBody": {"required": True, "content": _json(request)},
                "responses": {
                    "200": {"description": "The prediction.", "content": _json(response)},
                    **responses,
                },
            }
        }

    return {
        "openapi": "3.1.0",
        "info": {
            "title": name,
            "version": metadata.version("skyclass"),
            "description": f"Classifies SDSS objects from {describe_inputs(mode)}. A release may "
            "be able to do without one of the magnitudes, which is then null or absent.",
        },
        "paths": {
            f"/v1/models/{name}:predict": describe_post("Classify rows", v1_request, v1_response),
            f"/v2/models/{name}/infer": describe_post(
                "Classify rows (Open Inference Protocol)", v2_request, v2_response
            ),
            f"/v2/models/{name}/versions/{{version}}/infer": {
                "parameters": [_VERSION],
                **describe_post(
                    "Classify rows with this release only",
                    *(v2_request, v2_response),
                    {**errors, "404": _describe_error("The release is not served.", error)},
                ),
            },
        },
        "components": {"schemas": components},
    }


def _describe_rows(mode: Mode) -> tuple[Any, Any, Any]:
    """Return the types of a row for OpenAPI: by position, by name, and by name with a key.

    They are stricter than the types that requests are converted to: what depends on the values is
    checked for all protocols by `check_values`.
    """
    number: Any = Annotated[
        float,
        msgspec.Meta(ge=-MAX_INPUT, le=MAX_INPUT, extra_json_schema={"not": {"const": -9999}}),
    ]
    width = len(INPUTS[mode])
    by_position = Annotated[list[number], msgspec.Meta(min_length=width, max_length=width)]
    inputs: list[Any] = [(name, _describe_input(number, name)) for name in INPUTS[mode]]
    key: list[Any] = [(name, Annotated[int, msgspec.Meta(ge=1, le=MAX_KEY)]) for name in KEY]
    optional: list[Any] = [
        (name, _describe_input(float | None, name), None) for name in OPTIONAL_INPUTS[mode]
    ]
    by_name = msgspec.defstruct("Row", inputs + optional, forbid_unknown_fields=True)
    with_key = msgspec.defstruct("RowWithKey", inputs + key + optional, forbid_unknown_fields=True)
    return by_position, by_name, with_key


def _describe_input(kind: Any, name: str) -> Any:
    fact = FACTS[name]
    text = f"{fact.description} ({fact.unit})." if fact.unit else f"{fact.description}."
    return Annotated[kind, msgspec.Meta(description=text)]


def _describe_error(description: str, error: Schema) -> Schema:
    return {"description": description, "content": _json(error)}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}
