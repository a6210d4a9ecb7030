"""Settings come from the environment, then from the embedded server's file."""

from pathlib import Path

import pytest

from skyclass.errors import SkyclassError
from skyclass.settings import S3_ENV_FILE, Settings, load_settings

AWS = {
    "AWS_ENDPOINT_URL": "http://store:9000",
    "AWS_ACCESS_KEY_ID": "alice",
    "AWS_SECRET_ACCESS_KEY": "wonderland",
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder and no AWS_* variable."""
    for name in (*AWS, "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SKYCLASS_HOME", str(tmp_path))
    return tmp_path


def set_all(monkeypatch: pytest.MonkeyPatch, **more: str) -> None:
    for name, value in {**AWS, **more}.items():
        monkeypatch.setenv(name, value)


def test_the_environment_is_enough(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    set_all(monkeypatch, SKYCLASS_DATA_BUCKET="mine")
    settings = load_settings()
    assert (settings.endpoint_url, settings.access_key_id) == ("http://store:9000", "alice")
    assert (settings.home, settings.region) == (home, "us-east-1")
    assert settings.buckets == ("mine", "skyclass-models", "skyclass-logs", "skyclass-reports")


@pytest.mark.parametrize("name", AWS)
def test_a_missing_variable_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch)
    monkeypatch.delenv(name)
    with pytest.raises(SkyclassError, match=f"^{name} is not set: start .* `skyclass s3`"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SKYCLASS_S3_RETRIES", "many"),
        ("SKYCLASS_S3_RETRIES", "-1"),
        ("SKYCLASS_S3_CONNECT_SECONDS", "0"),
        ("SKYCLASS_S3_READ_SECONDS", "nan"),
        ("LOKY_MAX_CPU_COUNT", "all"),
    ],
)
def test_a_malformed_setting_is_named_as_its_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, **{name: value})
    with pytest.raises(SkyclassError, match=f"^{name} is malformed") as error:
        load_settings()
    assert "\n" not in str(error.value)


def test_the_embedded_servers_file_is_used(home: Path) -> None:
    lines = [f"{name}={value}" for name, value in AWS.items()]
    (home / S3_ENV_FILE).write_text("\n".join(lines))
    assert load_settings().endpoint_url == "http://store:9000"
    assert load_settings().secret_access_key.get_secret_value() == "wonderland"


def test_the_environment_wins_over_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / S3_ENV_FILE).write_text("AWS_ENDPOINT_URL=http://embedded:1\n")
    set_all(monkeypatch)
    assert load_settings().endpoint_url == "http://store:9000"


def test_the_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch)
    settings = load_settings()
    shown = (repr(settings), str(settings), repr(settings.model_dump()), settings.model_dump_json())
    assert not any("wonderland" in text for text in shown)


def test_settings_do_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch)
    with pytest.raises(ValueError, match="frozen"):
        Settings().endpoint_url = "http://elsewhere"
