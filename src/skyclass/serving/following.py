"""Follows the champion: a promotion changes what a running server answers with, within seconds."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from skyclass.errors import ReleaseError, SkyclassError
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.models import LoadedModel
from skyclass.serving.loading import fetch_release, load
from skyclass.serving.settings import ServingSettings
from skyclass.survey.features import Mode

logger = logging.getLogger(__name__)


def load_champion(
    champions: LocalChampionStore, mode: Mode, home: Path, public_key: Path | None = None
) -> LoadedModel:
    """Load the release that the newest promotion names.

    Args:
        champions: Where promotions are.
        mode: Which champion.
        home: The project's home folder, where releases are cached.
        public_key: Key that releases have to be signed with; when not given, none is needed.

    Raises:
        ReleaseError: There is none, or it cannot be served.
        StoreError: The object store failed.
    """
    champion = champions.get_champion(mode)
    if champion is None:
        raise ReleaseError(
            f"no {mode} release has been promoted: train one (`skyclass run training`), "
            "or name one with --release"
        )
    return load(fetch_release(champion, champions.registry, home), mode, public_key=public_key)


class Follower:
    """Looks for a new champion, again and again, and hands it over once it is loaded.

    A release that cannot be served is refused, and the one before goes on being served.
    """

    def __init__(
        self,
        champions: LocalChampionStore,
        home: Path,
        options: ServingSettings,
        model: LoadedModel,
        hand_over: Callable[[LoadedModel], None],
    ) -> None:
        """Prepare to follow.

        Args:
            champions: Where promotions are.
            home: The project's home folder, where releases are cached.
            options: How often to look, and the key that releases have to be signed with.
            model: What is served now.
            hand_over: Called with each new model.
        """
        self._champions = champions
        self._home = home
        self._options = options
        self._model = model
        self._hand_over = hand_over
        self._complaint = ""

    def follow(self, closing: threading.Event) -> None:
        """Follow until told to stop."""
        while not closing.wait(self._options.follow_seconds):
            try:
                self._look()
            except (SkyclassError, OSError) as error:
                self._complain(str(error))
            else:
                self._complaint = ""

    def _look(self) -> None:
        mode = self._model.release.mode
        champion = self._champions.get_champion(mode)
        if champion is None or champion.id == self._model.release.id:
            return
        folder = fetch_release(champion, self._champions.registry, self._home)
        model = load(folder, mode, public_key=self._options.public_key)
        logger.info("release %s takes the place of %s", champion.id, self._model.release.id)
        self._model = model
        self._hand_over(model)

    def _complain(self, complaint: str) -> None:
        """Say what is wrong once, not every few seconds."""
        if complaint != self._complaint:
            logger.warning(
                "release %s goes on being served: %s", self._model.release.id[:12], complaint
            )
        self._complaint = complaint
