"""The predictor's own settings."""

import pytest

from skyclass.errors import ServingError
from skyclass.serving.settings import load_serving_settings


def test_a_setting_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYCLASS_SERVING_MAX_ROWS", "7")
    assert load_serving_settings().max_rows == 7


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_a_malformed_setting_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SKYCLASS_SERVING_MAX_ROWS", value)
    with pytest.raises(ServingError, match="SKYCLASS_SERVING_MAX_ROWS is malformed"):
        load_serving_settings()
