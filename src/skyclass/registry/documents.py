"""The JSON documents that releases, promotions and windows are made of."""

import re
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from skyclass.errors import ReleaseError


class Document(BaseModel):
    """A strict, immutable JSON document: no unknown fields, no NaN, no infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def to_bytes(self) -> bytes:
        """Serialise to indented UTF-8 JSON; equal documents yield equal bytes."""
        return self.model_dump_json(indent=2).encode() + b"\n"


D = TypeVar("D", bound=Document)


def parse_document(kind: type[D], data: bytes, where: str) -> D:
    """Parse a JSON document.

    Args:
        kind: Class of the document.
        data: UTF-8 JSON.
        where: Names the document in messages.

    Raises:
        ReleaseError: The document is malformed; the message names the first malformed field.
    """
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        name = re.sub("(?<=[a-z])(?=[A-Z])", " ", kind.__name__).lower()
        raise ReleaseError(
            f"{where}: not a valid {name} of this version ({field}: {first['msg']}): "
            "publish it again"
        ) from error
