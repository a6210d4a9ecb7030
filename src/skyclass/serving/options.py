"""What a request can ask for besides the class probabilities."""

from typing import Annotated

import msgspec

Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]
ShareText = Annotated[str, msgspec.Meta(pattern=r"^0\.(?=[0-9]*[1-9])[0-9]{1,15}$")]
"""A share as text: gRPC has no parameters that are fractions."""

EXPECTED_SHARE = "a number between 0 and 1, for example 0.95"
"""What an option has to be, for messages."""


class Options(msgspec.Struct, frozen=True):
    """Options of a request.

    Attributes:
        coverage: Share of the rows of each class whose label set has their class; None for no label
            sets.
        purity: Share of the certain rows of each predicted class that are of this class; None for
            no selection of certain rows.
    """

    coverage: Share | None = None
    purity: Share | None = None


NO_OPTIONS = Options()
