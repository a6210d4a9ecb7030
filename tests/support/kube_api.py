"""A Kubernetes API that has nothing but the template of an InferenceService."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from skyclass.survey.features import Mode, model_name
from tests.support.web import Response, Web, serve

NAMESPACE = "sky"


def make_template(mode: Mode, memory: str | None) -> dict[str, Any]:
    """Return an InferenceService without a storageUri, with a limit of the predictor's memory."""
    resources = {"limits": {"memory": memory}} if memory else {}
    return {
        "kind": "InferenceService",
        "metadata": {"name": model_name(mode)},
        "spec": {"predictor": {"model": {"runtime": "skyclass", "resources": resources}}},
    }


@contextmanager
def serve_template(
    mode: Mode, memory: str | None, folder: Path, patch: pytest.MonkeyPatch
) -> Iterator[Web]:
    """Serve the template, and set KUBECONFIG; every other object is missing."""
    templates = {"data": {f"{mode}.yaml": json.dumps(make_template(mode, memory))}}

    def respond(path: str) -> Response:
        if "/configmaps/" in path:
            return Response(json.dumps(templates).encode())
        return Response(b'{"message": "not found"}', 404)

    with serve(respond) as web:
        write_kubeconfig(web.url, folder, patch)
        yield web


def write_kubeconfig(url: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let clients use an API server without TLS: write a kubeconfig, and set KUBECONFIG."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (folder / "kubeconfig").write_text(json.dumps(config))
    patch.setenv("KUBECONFIG", str(folder / "kubeconfig"))
    patch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
