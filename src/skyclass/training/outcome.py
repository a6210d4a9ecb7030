"""The outcome of a training run, as the last step logs it and a client reads it.

KFP's API has no output parameters of a run, but the logs of its steps.
"""

import logging

from pydantic import ValidationError

from skyclass.registry.documents import Document

logger = logging.getLogger(__name__)

_PREFIX = "outcome of the run: "


class RunOutcome(Document):
    """Outcome of a training run.

    Attributes:
        release_id: Id of the published release.
        promoted: Whether the release became champion.
        verdict: Reason for the promotion, or against it.
        waits_for_approval: Whether the release waits until a person approves it.
    """

    release_id: str
    promoted: bool
    verdict: str
    waits_for_approval: bool = False

    def log(self) -> None:
        """Log the outcome on one line."""
        logger.info("%s%s", _PREFIX, self.model_dump_json())


def find_outcome(log: str) -> RunOutcome | None:
    """Return the outcome that a step logged; None if its log has none that this version reads."""
    lines = [line for line in log.splitlines() if _PREFIX in line]
    if not lines:
        return None
    try:
        return RunOutcome.model_validate_json(lines[-1].partition(_PREFIX)[2])
    except ValidationError:
        return None
