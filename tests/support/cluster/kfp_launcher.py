"""Does the work of KFP's launcher, in the container of a step.

Downloads the input artifacts, runs the command of the step, uploads the output artifacts, and
prints the output metadata.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from minio import Minio


def get_local_path(uri: str) -> Path:
    """Return the path of an artifact in the container, as KFP defines it."""
    url = urlsplit(uri)
    return Path("/", url.scheme, url.netloc, url.path.lstrip("/"))


def main(text: str, command: list[str]) -> None:
    """Run a step.

    Args:
        text: KFP's executor input, as JSON.
        command: Command and arguments of the step in the package.
    """
    executor_input = json.loads(text)
    endpoint = urlsplit(os.environ.pop("LAUNCHER_ENDPOINT"))
    keys = os.environ.pop("LAUNCHER_KEY"), os.environ.pop("LAUNCHER_SECRET")
    store = Minio(endpoint.netloc, *keys, secure=False)
    for artifact in list_artifacts(executor_input["inputs"]):
        url = urlsplit(artifact["uri"])
        for found in store.list_objects(url.netloc, url.path.lstrip("/"), recursive=True):
            assert found.object_name is not None
            target = get_local_path(f"s3://{url.netloc}/{found.object_name}")
            store.fget_object(url.netloc, found.object_name, str(target))
    for output in executor_input["outputs"]["parameters"].values():
        Path(output["outputFile"]).parent.mkdir(parents=True, exist_ok=True)
    for artifact in list_artifacts(executor_input["outputs"]):
        get_local_path(artifact["uri"]).parent.mkdir(parents=True, exist_ok=True)
    metadata = Path(executor_input["outputs"]["outputFile"])
    metadata.parent.mkdir(parents=True, exist_ok=True)

    completed = subprocess.run([part.replace("{{$}}", text) for part in command], check=False)
    if completed.returncode:
        sys.exit(completed.returncode)

    sizes = {}
    for artifact in list_artifacts(executor_input["outputs"]):
        path, url = get_local_path(artifact["uri"]), urlsplit(artifact["uri"])
        files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
        sizes[artifact["name"]] = sum(file.stat().st_size for file in files)
        if not store.bucket_exists(url.netloc):
            store.make_bucket(url.netloc)
        for file in files:
            key = Path(url.path.lstrip("/")) / file.relative_to(path)
            store.fput_object(url.netloc, str(key), str(file))
    print("LAUNCHER", json.dumps(json.loads(metadata.read_text()) | {"sizes": sizes}))  # noqa: T201


def list_artifacts(side: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the artifacts of the inputs or of the outputs."""
    return [each for group in side.get("artifacts", {}).values() for each in group["artifacts"]]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
