"""Parsers of the text parameters of a pipeline run."""

from skyclass.errors import TrainingError
from skyclass.survey.features import Mode

PROMOTION_CHOICES = {"if_better": True, "never": False}
"""Values of `promotion`: whether a release that passes the gate becomes the champion."""


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
