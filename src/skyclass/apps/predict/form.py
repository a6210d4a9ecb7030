"""The form of the prediction page: its fields, their texts and the examples."""

from collections.abc import Sequence
from typing import NamedTuple

from skyclass.apps.predict.classification import Certainty
from skyclass.errors import ServingError
from skyclass.survey.features import MAGNITUDES, OPTIONAL_INPUTS, InputGroup, Mode

FIELDS = (*MAGNITUDES, "redshift")
OPTIONAL_FIELDS = OPTIONAL_INPUTS[Mode.PHOTOMETRIC]

PLACEHOLDERS = {"redshift": "optional", "alpha": "deg", "delta": "deg"}
"""Placeholders of fields that are not magnitudes."""

GROUP_TITLES = {
    InputGroup.EXTINCTION: "Position (ICRS), or Galactic extinction in r",
    InputGroup.PSF: "PSF magnitudes",
    InputGroup.TYPE: "Photometric type",
    InputGroup.ERRORS: "Errors of the magnitudes",
    InputGroup.WISE: "WISE magnitudes (Vega)",
}

TYPES = [("unknown", ""), ("extended (3)", "3"), ("point-like (6)", "6")]
"""Choices of the photometric type, with their values."""

SHARES = [("none", ""), ("90 %", "0.9"), ("95 %", "0.95"), ("99 %", "0.99")]
"""Choices of a coverage and of a purity, with their values."""

_EXAMPLES = {  # real DR17 objects
    "a galaxy": ["19.622", "18.480", "17.381", "16.909", "16.560", "0.236"],
    "a red galaxy": ["21.041", "18.886", "17.506", "16.988", "16.706", "0.218"],
    "a quasar at redshift 2.35": ["20.232", "19.572", "19.430", "19.309", "19.070", "2.350"],
    "a quasar at redshift 1.39": ["19.472", "19.532", "19.219", "19.178", "19.237", "1.393"],
    "a star": ["19.127", "18.140", "17.769", "17.619", "17.559", "0.001"],
    "a star without a redshift": ["21.059", "19.576", "18.802", "18.552", "18.456", ""],
}
EXAMPLES = [[*texts, *[""] * len(OPTIONAL_FIELDS)] for texts in _EXAMPLES.values()]
EXAMPLE_LABELS = list(_EXAMPLES)


class Form(NamedTuple):
    """The values of the form; None for an empty field."""

    magnitudes: list[float | None]
    redshift: float | None
    optional: dict[str, float | None]
    certainty: Certainty


def parse_form(texts: Sequence[str | None]) -> Form:
    """Parse the texts of the form.

    Args:
        texts: Texts of FIELDS and OPTIONAL_FIELDS, then coverage and purity. None or an empty text
            is an empty field: the browser sends None for choices that were never shown.

    Raises:
        ServingError: A text is not a number.
    """
    *fields, coverage, purity = texts
    names = (*FIELDS, *OPTIONAL_FIELDS)
    numbers = [_parse_number(name, text) for name, text in zip(names, fields, strict=True)]
    *magnitudes, redshift = numbers[: len(FIELDS)]
    optional = dict(zip(OPTIONAL_FIELDS, numbers[len(FIELDS) :], strict=True))
    return Form(magnitudes, redshift, optional, parse_certainty(coverage, purity))


def parse_certainty(coverage: str | None, purity: str | None) -> Certainty:
    """Parse the values of two choices of `SHARES`."""
    return Certainty(float(coverage) if coverage else None, float(purity) if purity else None)


def _parse_number(name: str, text: str | None) -> float | None:
    if not text or text.isspace():
        return None
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise ServingError(f"{name} is {text.strip()!r}: expected a number") from None
