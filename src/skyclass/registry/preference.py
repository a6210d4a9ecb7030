"""Why a search selected a model that has not the lowest log-loss."""

from skyclass.registry.documents import Document


class ServingCost(Document):
    """What a model costs where it is served.

    Attributes:
        milliseconds: Processor time to predict 1,000 rows on one thread, as measured in the search.
        size: Size of the model file that is served (bytes), of the model fitted in the search.
    """

    milliseconds: float
    size: int


class Preference(Document):
    """A model that was preferred to one with a lower log-loss, because the two are tied.

    Attributes:
        candidate: The algorithm with the lowest log-loss.
        settings: Its settings that differ from the default ones.
        loss: By how much the log-loss of the preferred model is higher (nats).
        loss_error: Standard error of this difference; it is not smaller.
        cost: Cost of the preferred model.
        other_cost: Cost of the one with the lowest log-loss.
    """

    candidate: str
    settings: dict[str, int | float]
    loss: float
    loss_error: float
    cost: ServingCost
    other_cost: ServingCost
