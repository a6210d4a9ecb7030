"""What a request can ask for besides the class probabilities."""

from typing import Annotated

import msgspec

Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]
ShareText = Annotated[str, msgspec.Meta(pattern=r"^0\.(?=[0-9]*[1-9])[0-9]{1,15}$")]
"""A share as text: gRPC has no parameters that are fractions."""

EXPECTED_SHARE = "a number between 0 and 1, for example 0.95"
"""What an option has to be, for messages."""


class Options(msgspec.Struct, frozen=True):
    """Options of a request; None where the client does not request it."""

    coverage: Annotated[
        Share | None,
        msgspec.Meta(
            description="Adds label sets, which have the class of this share of the objects of "
            "each class."
        ),
    ] = None
    purity: Annotated[
        Share | None,
        msgspec.Meta(
            description="Adds whether each row belongs to a sample in which this share of the "
            "objects of each predicted class is of that class."
        ),
    ] = None


NO_OPTIONS = Options()
