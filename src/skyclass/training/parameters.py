"""What a person may type into the run form, and what it means."""

from skyclass.errors import TrainingError
from skyclass.survey.features import Mode

PROMOTION_CHOICES = {"if_better": True, "never": False}
"""Whether a release that passes the gate becomes the champion."""


def parse_mode(name: str) -> Mode:
    """Read a mode as a person typed it.

    Raises:
        TrainingError: There is no such mode.
    """
    try:
        return Mode(name.strip())
    except ValueError:
        raise TrainingError(f"unknown mode {name!r}: choose {' or '.join(Mode)}") from None


def parse_promotion(choice: str) -> bool:
    """Read whether a release that passes the gate becomes the champion.

    Raises:
        TrainingError: It is none of the choices.
    """
    if choice.strip() not in PROMOTION_CHOICES:
        raise TrainingError(
            f"unknown promotion {choice!r}: choose {' or '.join(PROMOTION_CHOICES)}"
        )
    return PROMOTION_CHOICES[choice.strip()]
