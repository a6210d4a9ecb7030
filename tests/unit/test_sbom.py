"""The list of an image's parts, which is made while the image is built."""

import json
import venv
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from images import sbom

ROOT = Path(__file__).resolve().parents[2]
STATUS = """Package: zlib1g
Status: install ok installed
Architecture: amd64
Version: 1:1.2.13.dfsg-1
Description: compression library
 Version: of something else

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""
OS_RELEASE = 'ID=debian\nVERSION_ID="12"\n'


def test_only_packages_that_are_installed_are_listed() -> None:
    (part,) = sbom.debian_parts(STATUS, OS_RELEASE)
    assert (part["name"], part["version"]) == ("zlib1g", "1:1.2.13.dfsg-1")
    assert part["purl"] == ("pkg:deb/debian/zlib1g@1%3A1.2.13.dfsg-1?arch=amd64&distro=debian-12")


def test_the_list_is_valid_and_has_python_its_packages_and_those_of_debian(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(ROOT)
    for name, text in (("DPKG_STATUS", STATUS), ("OS_RELEASE", OS_RELEASE)):
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(sbom, name, tmp_path / name)
    venv.create(tmp_path / "venv", symlinks=True)
    (packages,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    about = packages / "quasar-1.5.dist-info/METADATA"
    about.parent.mkdir()
    about.write_text("Metadata-Version: 2.1\nName: quasar\nVersion: 1.5\nLicense: MIT\n")
    sbom.main("skyclass-jobs", str(tmp_path / "venv"), str(tmp_path))
    printed = capsys.readouterr().out
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(printed) is None
    found = json.loads(printed)
    assert found["metadata"]["component"]["name"] == "skyclass-jobs"
    assert {"python", "quasar", "zlib1g"} == {part["name"] for part in found["components"]}
