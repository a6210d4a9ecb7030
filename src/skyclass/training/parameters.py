"""Parsers of the text parameters of a pipeline run."""

from enum import StrEnum

from skyclass.errors import TrainingError
from skyclass.survey.features import Mode

_PLACEHOLDER = "{{"
"""Begins what KFP, its local runner and Argo replace inside the values of parameters."""


class PromotionPolicy(StrEnum):
    """What a release needs to become champion: the parameter `promotion`."""

    IF_BETTER = "if_better"
    """Significantly better than the champion in a metric, and nowhere worse."""
    IF_NOT_WORSE = "if_not_worse"
    """Nowhere significantly worse, and better or trained on newer data."""
    APPROVE = "approve"
    """Nowhere significantly worse; then it waits until a person approves it."""
    NEVER = "never"
    """Only published; the gate is checked as for `IF_BETTER`."""


DEFAULT_PROMOTION = PromotionPolicy.IF_BETTER


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


def parse_promotion(choice: str) -> PromotionPolicy:
    """Parse the parameter `promotion`.

    Raises:
        TrainingError: The choice is unknown.
    """
    try:
        return PromotionPolicy(choice.strip())
    except ValueError:
        choices = " or ".join(PromotionPolicy)
        raise TrainingError(f"unknown promotion {choice!r}: choose {choices}") from None
