"""`make audit` finds known vulnerabilities, and its exceptions end on their dates.

The tests use a database of their own, in the format of https://osv.dev, because the real one cannot
be reached from everywhere. The scanner's program comes from the environment (`make lint`).
"""

import json
import os
import subprocess
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXCEPTIONS = ROOT / ".ci/vulnerabilities.toml"
FOUND, PASSED = 1, 0
ADVISORY = {
    "schema_version": "1.6.0",
    "id": "TEST-1",
    "modified": "2026-01-01T00:00:00Z",
    "published": "2026-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "urllib3"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
        }
    ],
}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database that knows one vulnerability, of a package in the lock file."""
    archive = tmp_path / "database/osv-scalibr/PyPI/all.zip"
    archive.parent.mkdir(parents=True)
    with ZipFile(archive, "w") as file:
        file.writestr("TEST-1.json", json.dumps(ADVISORY))
    return tmp_path / "database"


def scan(database: Path, exceptions: Path = EXCEPTIONS) -> subprocess.CompletedProcess[str]:
    """Look up the lock file as `make audit` does, without the network."""
    command = [
        os.environ.get("OSV_SCANNER", "osv-scanner"), "scan", "source", "--offline",
        "--config", exceptions, "--lockfile", ROOT / "uv.lock",
    ]  # fmt: skip
    environment = os.environ | {"OSV_SCALIBR_LOCAL_DB_CACHE_DIRECTORY": str(database)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def write_exceptions(folder: Path, until: date) -> Path:
    path = folder / "exceptions.toml"
    path.write_text(
        f'[[IgnoredVulns]]\nid = "TEST-1"\nignoreUntil = {until:%Y-%m-%d}\nreason = "a test"\n'
    )
    return path


def test_a_known_vulnerability_of_a_locked_package_is_found(database: Path) -> None:
    result = scan(database)
    assert result.returncode == FOUND
    assert "TEST-1" in result.stdout


@pytest.mark.parametrize(("days", "expected"), [(2, PASSED), (-2, FOUND)])
def test_an_exception_holds_until_its_date(
    days: int, expected: int, database: Path, tmp_path: Path
) -> None:
    until = datetime.now(UTC).date() + timedelta(days=days)
    assert scan(database, write_exceptions(tmp_path, until)).returncode == expected


def test_an_unreachable_database_is_an_error(tmp_path: Path) -> None:
    assert scan(tmp_path / "nothing").returncode not in (FOUND, PASSED)


def test_each_exception_has_a_date_and_a_reason() -> None:
    entries = tomllib.loads(EXCEPTIONS.read_text()).get("IgnoredVulns", [])
    for entry in entries:
        assert isinstance(entry["ignoreUntil"], date), entry["id"]
        assert entry["reason"], entry["id"]
