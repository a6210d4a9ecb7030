"""What KFP's launcher does around the command of a step; runs in the step's own container.

Fetches the input artifacts to the paths that the command is told, runs the command, puts the output
artifacts into the object store, and prints what the command has put out.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from minio import Minio


def local(uri: str) -> Path:
    """Where KFP has a container find an artifact."""
    url = urlsplit(uri)
    return Path("/", url.scheme, url.netloc, url.path.lstrip("/"))


def main(text: str, command: list[str]) -> None:
    """Run a step.

    Args:
        text: What KFP calls the executor input, as JSON.
        command: The command of the package, with its arguments.
    """
    given = json.loads(text)
    endpoint = urlsplit(os.environ.pop("LAUNCHER_ENDPOINT"))
    keys = os.environ.pop("LAUNCHER_KEY"), os.environ.pop("LAUNCHER_SECRET")
    store = Minio(endpoint.netloc, *keys, secure=False)
    for artifact in artifacts(given["inputs"]):
        url = urlsplit(artifact["uri"])
        for found in store.list_objects(url.netloc, url.path.lstrip("/"), recursive=True):
            assert found.object_name is not None
            target = local(f"s3://{url.netloc}/{found.object_name}")
            store.fget_object(url.netloc, found.object_name, str(target))
    for output in given["outputs"]["parameters"].values():
        Path(output["outputFile"]).parent.mkdir(parents=True, exist_ok=True)
    for artifact in artifacts(given["outputs"]):
        local(artifact["uri"]).parent.mkdir(parents=True, exist_ok=True)
    metadata = Path(given["outputs"]["outputFile"])
    metadata.parent.mkdir(parents=True, exist_ok=True)

    done = subprocess.run([part.replace("{{$}}", text) for part in command], check=False)
    if done.returncode:
        sys.exit(done.returncode)

    sizes = {}
    for artifact in artifacts(given["outputs"]):
        path, url = local(artifact["uri"]), urlsplit(artifact["uri"])
        files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
        sizes[artifact["name"]] = sum(file.stat().st_size for file in files)
        if not store.bucket_exists(url.netloc):
            store.make_bucket(url.netloc)
        for file in files:
            key = Path(url.path.lstrip("/")) / file.relative_to(path)
            store.fput_object(url.netloc, str(key), str(file))
    print("LAUNCHER", json.dumps(json.loads(metadata.read_text()) | {"sizes": sizes}))  # noqa: T201


def artifacts(side: dict[str, Any]) -> list[dict[str, Any]]:
    """The artifacts among the inputs or outputs."""
    return [each for found in side.get("artifacts", {}).values() for each in found["artifacts"]]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
