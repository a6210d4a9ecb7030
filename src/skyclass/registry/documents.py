"""The JSON documents that releases, promotions and windows are made of."""

import json
import re
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, model_validator

from skyclass.errors import ReleaseError
from skyclass.storage.formats import FIELD, Format


class Document(BaseModel):
    """A strict, immutable JSON document: no unknown fields, no NaN, no infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class StoredDocument(Document):
    """A document that is stored as an object or file of its own, with the name of its format.

    Attributes:
        stored_format: The format that this version writes. A newer one is an error.
    """

    stored_format: ClassVar[Format]

    def to_bytes(self) -> bytes:
        """Serialise to indented UTF-8 JSON; equal documents yield equal bytes."""
        fields = {FIELD: self.stored_format.version, **self.model_dump(mode="json")}
        return json.dumps(fields, indent=2, allow_nan=False, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Self:
        """Parse UTF-8 JSON.

        Args:
            data: The document.
            where: Names it in the message about a newer format.

        Raises:
            NewerFormatError: A newer version of skyclass has written the document.
            ValidationError: The document is malformed.
        """
        return cls.model_validate_json(data, context={"where": where})

    @model_validator(mode="before")
    @classmethod
    def _check_format(cls, fields: Any, info: ValidationInfo) -> Any:
        # Before the fields, because those of a newer format would be reported as malformed.
        if not isinstance(fields, dict) or FIELD not in fields:
            return fields
        where = (info.context or {}).get("where", "a document")
        cls.stored_format.check(str(fields[FIELD]), where)
        return {name: value for name, value in fields.items() if name != FIELD}


D = TypeVar("D", bound=StoredDocument)


def parse_document(kind: type[D], data: bytes, where: str) -> D:
    """Parse a JSON document.

    Args:
        kind: Class of the document.
        data: UTF-8 JSON.
        where: Names the document in messages.

    Raises:
        NewerFormatError: A newer version of skyclass has written the document.
        ReleaseError: The document is malformed; the message names the first malformed field.
    """
    try:
        return kind.from_bytes(data, where)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        name = re.sub("(?<=[a-z])(?=[A-Z])", " ", kind.__name__).lower()
        raise ReleaseError(
            f"{where}: not a valid {name} of this version ({field}: {first['msg']}): "
            "publish it again"
        ) from error
