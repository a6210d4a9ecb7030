"""Hot reload: serves the champion, and the next one within seconds of a promotion."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from skyclass.errors import ReleaseError, SkyclassError
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.models import LoadedModel
from skyclass.registry.releases import Release
from skyclass.serving.loading import fetch_release, load_release
from skyclass.serving.settings import ServingSettings
from skyclass.survey.features import Mode

logger = logging.getLogger(__name__)


class ChampionWatcher:
    """Loads the champion of a mode, then polls for a new one.

    A release that cannot be loaded is logged, and the previous one stays in service.
    """

    def __init__(
        self, champions: LocalChampionStore, mode: Mode, home: Path, settings: ServingSettings
    ) -> None:
        """Create a watcher; nothing is read yet.

        Args:
            champions: Champions on this machine.
            mode: Mode of the champion.
            home: The project's home folder, where releases are cached.
            settings: Polling interval, and the key that verifies releases.
        """
        self._champions = champions
        self._mode = mode
        self._home = home
        self._settings = settings
        self._served_id = ""
        self._last_error = ""

    def load_champion(self) -> LoadedModel:
        """Load the current champion.

        Raises:
            ReleaseError: There is no champion, or it cannot be served.
            StoreError: The object store failed.
        """
        champion = self._champions.get_champion(self._mode)
        if champion is None:
            raise ReleaseError(
                f"no {self._mode} release has been promoted: train one with `skyclass run "
                "training`, or choose one with --release"
            )
        return self._load(champion)

    def watch(self, on_change: Callable[[LoadedModel], object], closing: threading.Event) -> None:
        """Poll for a new champion until the server closes.

        Args:
            on_change: Called with each new model.
            closing: Set when the server closes.
        """
        while not closing.wait(self._settings.follow_seconds):
            try:
                champion = self._champions.get_champion(self._mode)
                if champion is not None and champion.id != self._served_id:
                    previous = self._served_id
                    on_change(self._load(champion))
                    logger.info("release %s replaces %s", champion.id, previous)
            except (SkyclassError, OSError) as error:
                self._log_error(str(error))
            else:
                self._last_error = ""

    def _load(self, release: Release) -> LoadedModel:
        verified = fetch_release(release, self._champions.registry, self._home)
        model = load_release(verified, self._mode, public_key=self._settings.public_key)
        self._served_id = release.id
        return model

    def _log_error(self, message: str) -> None:
        """Log an error once, not at every poll."""
        if message != self._last_error:
            logger.warning("release %s stays in service: %s", self._served_id[:12], message)
        self._last_error = message
