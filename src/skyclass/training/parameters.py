"""Parsers of the text parameters of a pipeline run."""

from skyclass.errors import TrainingError
from skyclass.survey.features import Mode

PROMOTION_CHOICES = {"if_better": True, "never": False}
"""Values of `promotion`: whether a release that passes the gate becomes the champion."""

_PLACEHOLDER = "{{"
"""Begins what KFP, its local runner and Argo replace inside the values of parameters."""


def parse_text(name: str, text: str) -> str:
    """Parse a parameter that may be any text.

    Raises:
        TrainingError: The text has a placeholder, which KFP would replace.
    """
    if _PLACEHOLDER in text:
        raise TrainingError(
            f"{name} is {text!r}: remove {_PLACEHOLDER!r}, which begins a placeholder of KFP"
        )
    return text


def parse_mode(name: str) -> Mode:
    """Parse the parameter `mode`.

    Raises:
        TrainingError: The mode is unknown.
    """
    try:
        return Mode(name.strip())
    except ValueError:
        raise TrainingError(f"unknown mode {name!r}: choose {' or '.join(Mode)}") from None


def parse_promotion(choice: str) -> bool:
    """Parse the parameter `promotion`: whether to promote a release that passes the gate.

    Raises:
        TrainingError: The choice is unknown.
    """
    if choice.strip() not in PROMOTION_CHOICES:
        raise TrainingError(
            f"unknown promotion {choice!r}: choose {' or '.join(PROMOTION_CHOICES)}"
        )
    return PROMOTION_CHOICES[choice.strip()]
