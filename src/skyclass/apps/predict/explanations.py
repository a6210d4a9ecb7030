"""Explanations of single predictions, with the releases in the object store."""

from collections.abc import Callable
from functools import lru_cache

from skyclass.apps.predict.classification import Prediction
from skyclass.errors import SkyclassError
from skyclass.explaining.explainer import Explainer, load_explainer
from skyclass.explaining.explanation import Explanation
from skyclass.registry.releases import Registry
from skyclass.settings import load_settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode

_CACHED_RELEASES = 4
"""The served release of each mode, and the ones before."""

Explain = Callable[[Prediction], Explanation]
"""Explains a prediction; raises SkyclassError if the release cannot be read."""


def make_explain(open_registry: Callable[[], Registry]) -> Explain:
    """Return a function that explains predictions with the release that predicted.

    Args:
        open_registry: Returns the releases; called for each release that is not cached, so that the
            page also starts without an object store.
    """

    @lru_cache(_CACHED_RELEASES)
    def load(mode: Mode, release_id: str) -> Explainer:
        registry = open_registry()
        return load_explainer(registry, registry.read(mode, release_id))

    def explain(prediction: Prediction) -> Explanation:
        try:
            explainer = load(prediction.mode, prediction.model_version)
        except SkyclassError as error:
            raise SkyclassError(
                f"the prediction cannot be explained, which needs the files of its release: {error}"
            ) from error
        (explanation,) = explainer.explain([prediction.inputs])
        return explanation

    return explain


def open_registry() -> Registry:
    """Return the releases in the object store of the settings.

    Raises:
        SkyclassError: A setting is missing.
    """
    return Registry(ObjectStore(load_settings()))
