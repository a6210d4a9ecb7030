"""Settings of notifications."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, PositiveFloat, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from skyclass.errors import NotificationError
from skyclass.notifications.event import Kind
from skyclass.settings import PublicUrl


class NotificationSettings(BaseSettings):
    """Where messages are sent, and about which events."""

    model_config = SettingsConfigDict(
        env_prefix="SKYCLASS_NOTIFICATION_", extra="ignore", frozen=True
    )

    urls: SecretStr = SecretStr("")
    """URLs of channels as Apprise defines them, separated by white space. They contain secrets."""
    urls_file: Path | None = None
    """File with further URLs, one a line."""
    kinds: Annotated[tuple[Kind, ...], NoDecode] = ()
    """Kinds of events to send, separated by commas; empty for all."""
    timeout_seconds: PositiveFloat = 10.0
    """Timeout of one message to one channel."""

    monitor_url: PublicUrl = Field("", validation_alias="SKYCLASS_MONITOR_URL")
    """URL of the monitor page, for links."""

    @field_validator("kinds", mode="before")
    @classmethod
    def _split_kinds(cls, value: object) -> object:
        return value.replace(",", " ").split() if isinstance(value, str) else value

    @property
    def is_enabled(self) -> bool:
        """Whether any channel is configured."""
        return bool(self.urls.get_secret_value().strip() or self.urls_file)

    def is_selected(self, kind: Kind) -> bool:
        """Return whether events of a kind are sent."""
        return not self.kinds or kind is Kind.TEST or kind in self.kinds

    def read_urls(self) -> list[str]:
        """Return the URLs of all channels, with their secrets.

        Raises:
            NotificationError: The file is unreadable.
        """
        text = self.urls.get_secret_value()
        if self.urls_file:
            try:
                text += "\n" + self.urls_file.read_text()
            except (OSError, UnicodeDecodeError) as error:
                raise NotificationError(
                    f"file of channels {self.urls_file} is unreadable ({type(error).__name__}): "
                    "correct SKYCLASS_NOTIFICATION_URLS_FILE"
                ) from error
        lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
        return [url for line in lines for url in line.split()]
