"""Settings of the predictor."""

import pytest

from skyclass.errors import SkyclassError
from skyclass.serving.settings import ServingSettings
from skyclass.settings import load


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYCLASS_SERVING_MAX_ROWS", "7")
    assert load(ServingSettings).max_rows == 7


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_a_malformed_setting_is_reported(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SKYCLASS_SERVING_MAX_ROWS", value)
    with pytest.raises(SkyclassError, match="SKYCLASS_SERVING_MAX_ROWS is malformed"):
        load(ServingSettings)
