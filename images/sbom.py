"""Lists the parts of an image in CycloneDX's words. Runs while the image is built.

Python's packages come from cyclonedx-py, Debian's from dpkg's own records.
"""

import json
import os
import platform
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

DPKG_STATUS = Path("/var/lib/dpkg/status")
OS_RELEASE = Path("/etc/os-release")


def main(image: str, environment: str, application: str) -> None:
    """Print the parts of an image as CycloneDX JSON.

    Args:
        image: What the image is called.
        environment: Folder of the virtual environment in it.
        application: Folder of what is installed beside it.
    """
    bom = python_parts(Path(environment), Path(application))
    version = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
    bom["metadata"]["component"] = {
        "type": "container",
        "bom-ref": image,
        "name": image,
        "version": version,
    }
    parts = [interpreter(), *debian_parts(DPKG_STATUS.read_text(), OS_RELEASE.read_text())]
    bom["components"].extend(parts)
    bom["dependencies"].extend({"ref": part["bom-ref"]} for part in parts)
    json.dump(bom, sys.stdout, indent=2)


def python_parts(environment: Path, application: Path) -> dict[str, Any]:
    """The Python packages of an environment, with licences and addresses."""
    program = Path(sys.executable).with_name("cyclonedx-py")
    found = subprocess.run(  # noqa: S603 - our own program on our own environment
        [
            *(program, "environment", environment / "bin/python"),
            *("--output-reproducible", "--spec-version", "1.6", "--output-format", "JSON"),
        ],
        env={**os.environ, "PYTHONPATH": str(application)},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(found.stdout)


def interpreter() -> dict[str, Any]:
    """Python itself, which in the official image is no package of Debian's."""
    version = platform.python_version()
    purl = f"pkg:generic/python@{version}"
    return {
        "type": "platform",
        "bom-ref": purl,
        "name": "python",
        "version": version,
        "purl": purl,
    }


def debian_parts(status: str, os_release: str) -> Iterator[dict[str, Any]]:
    """The installed packages that dpkg knows.

    Args:
        status: Its records.
        os_release: Names the distribution.
    """
    names = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    distribution, release = (names[name].strip('"') for name in ("ID", "VERSION_ID"))
    for record in status.strip().split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in record.splitlines() if ": " in line and line[0] != " "
        )
        if fields.get("Status") != "install ok installed":
            continue
        name, version = fields["Package"], fields["Version"]
        where = f"arch={fields['Architecture']}&distro={distribution}-{release}"
        purl = f"pkg:deb/{distribution}/{quote(name)}@{quote(version, safe='')}?{where}"
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
        }


if __name__ == "__main__":
    main(*sys.argv[1:])
