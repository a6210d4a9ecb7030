"""The limits of expectations: the defaults, and a file that replaces some of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from skyclass.errors import ValidationError
from skyclass.ingest.limits import load_expectations
from skyclass.ingest.step import ingest_step
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.tables.observations import ObservationsTable

DEFAULTS = load_expectations()


def load_text(text: str, folder: Path) -> object:
    file = folder / "limits.toml"
    file.write_text(text)
    return load_expectations(file)


def test_a_file_replaces_only_the_limits_in_it(tmp_path: Path) -> None:
    changed = load_text("[eras]\nolder = 1\n[classes]\nSTAR = [0, 0.9]\n", tmp_path)
    assert changed == replace(
        DEFAULTS, older_eras=1, classes={**DEFAULTS.classes, "STAR": (0, 0.9)}
    )


def test_an_empty_file_replaces_no_limit(tmp_path: Path) -> None:
    assert load_text("", tmp_path) == DEFAULTS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[era]\nolder = 1", "era is unknown: expected one of ingest, rows, not_measured, classes"),
        ("[eras]\noldest = 1", "[eras]: oldest is unknown: expected one of older"),
        ("[classes]\nstar = [0, 1]", "[classes]: star is unknown: expected one of GALAXY, QSO"),
        ("eras = 0.9", "eras is 0.9: expected a table [eras]"),
        ("[eras]\nolder = '0.9'", "[eras]: older is '0.9': expected a share, 0 to 1"),
        ("[eras]\nolder = 90", "[eras]: older is 90: expected a share, 0 to 1"),
        ("[eras]\nolder = nan", "[eras]: older is nan: expected a share, 0 to 1"),
        ("[eras]\nolder = true", "[eras]: older is True: expected a share, 0 to 1"),
        ("[classes]\nSTAR = 0.1", "[classes]: STAR is 0.1: expected two numbers"),
        ("[classes]\nSTAR = [0.9, 0.1]", "[classes]: STAR is [0.9, 0.1]: expected two numbers"),
        ("[redshift]\nSTAR = [0]", "[redshift]: STAR is [0]: expected two numbers"),
        ("[eras\n", "the limits cannot be read (Expected ']'"),
    ],
)
def test_a_malformed_limit_is_reported_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as error:
        load_text(text, tmp_path)
    assert message in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "limits.toml"))
    assert "\n" not in str(error.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="SKYCLASS_EXPECTATIONS_FILE"):
        load_expectations(tmp_path / "nowhere.toml")


def test_malformed_limits_stop_an_ingest_before_the_source_is_read(
    settings: Settings, store: ObjectStore, tmp_path: Path
) -> None:
    (tmp_path / "limits.toml").write_text("[eras]\nolder = 90")
    changed = settings.model_copy(update={"expectations_file": tmp_path / "limits.toml"})
    with pytest.raises(ValidationError, match="older is 90"):
        ingest_step(changed, "simulated:?rows=100&era=legacy&seed=0")
    assert ObservationsTable(settings).newest_version() is None
