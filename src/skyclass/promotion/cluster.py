"""The few calls of the Kubernetes API that a promotion needs, each with a deadline.

Manifests are plain dictionaries. The client is imported when it is first needed: on one machine
nothing needs it.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import urllib3

from skyclass.errors import ClusterError

FIELD_MANAGER = "skyclass-promotion"

Manifest = dict[str, Any]

_SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices"
_CORE = "/api/v1/namespaces/{}"
_TIMEOUT = (3.0, 15.0)
"""Seconds to connect, and to answer."""
_RETRIES = 3
_BACKOFF_SECONDS = 0.5
_TEMPORARY = (429, 500, 502, 503, 504)
_NOT_FOUND, _CONFLICT = 404, 409


class NotFoundError(ClusterError):
    """There is no such object."""


class ConflictError(ClusterError):
    """The object is not the one that was read before."""


class Cluster:
    """One namespace of a Kubernetes cluster with KServe."""

    def __init__(self, namespace: str) -> None:
        """Prepare a client, from the pod's own account or else from KUBECONFIG.

        Raises:
            ClusterError: There is neither.
        """
        from kubernetes import client, config

        self.namespace = namespace
        settings = client.Configuration()
        try:
            try:
                config.load_incluster_config(settings)
            except config.ConfigException:
                # Else the library knows KUBECONFIG as it was when it was imported.
                named = os.environ.get("KUBECONFIG")
                config.load_kube_config(named, client_configuration=settings)
        except (config.ConfigException, OSError) as error:
            raise ClusterError(
                f"SKYCLASS_NAMESPACE is {namespace}, but there is no way to its cluster ({error}): "
                "set KUBECONFIG, or unset SKYCLASS_NAMESPACE on one machine"
            ) from error
        settings.retries = urllib3.Retry(
            total=_RETRIES,
            backoff_factor=_BACKOFF_SECONDS,
            status_forcelist=_TEMPORARY,
            raise_on_status=False,
        )
        self._host = settings.host
        self._client = client.ApiClient(settings)
        self._services = _SERVICES.format(namespace)
        self._core = _CORE.format(namespace)

    def inference_service(self, name: str) -> Manifest | None:
        """Read an InferenceService, if there is one of that name."""
        return self._find(f"{self._services}/{name}")

    def apply(self, manifest: Manifest) -> Manifest:
        """Apply an InferenceService server-side.

        The fields of the manifest become ours, whoever set them before; those that were ours and
        are not in it go.

        Raises:
            ConflictError: The manifest has a resourceVersion, and the object has another by now.
        """
        body = {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            **manifest,
        }
        path = f"{self._services}/{manifest['metadata']['name']}"
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return self._call("PATCH", path, query, body, "application/apply-patch+yaml")

    def delete(self, name: str, uid: str) -> None:
        """Delete an InferenceService, unless it is another one of the same name."""
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Foreground"}
        with suppress(NotFoundError):
            self._call("DELETE", f"{self._services}/{name}", {}, body)

    def config_map(self, name: str) -> Mapping[str, str] | None:
        """Read what is in a ConfigMap, if there is one of that name."""
        found = self._find(f"{self._core}/configmaps/{name}")
        return found.get("data") or {} if found else None

    def pods(self, service: str) -> list[Manifest]:
        """The pods of an InferenceService."""
        query = {"labelSelector": f"serving.kserve.io/inferenceservice={service}"}
        return self._call("GET", f"{self._core}/pods", query)["items"]

    def ask_service(self, service: str, path: str) -> Any:
        """Ask a Service of the namespace through the API server, from outside of the cluster."""
        return self._call("GET", f"{self._core}/services/{service}:80/proxy{path}", {})

    def _find(self, path: str) -> Manifest | None:
        try:
            return self._call("GET", path, {})
        except NotFoundError:
            return None

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Manifest | None = None,
        content_type: str = "application/json",
    ) -> Any:
        from kubernetes.client import ApiException

        try:
            return self._client.call_api(
                quote(path),
                method,
                query_params=list(query.items()),
                header_params={"Accept": "application/json", "Content-Type": content_type},
                body=body,
                response_type="object",
                auth_settings=["BearerToken"],
                _return_http_data_only=True,
                _request_timeout=_TIMEOUT,
            )
        except ApiException as error:
            raise _explain(error.status, _message(error), f"{method} {path}") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ClusterError(
                f"the Kubernetes API at {self._host} does not answer ({type(error).__name__}): "
                "check KUBECONFIG, and that NetworkPolicies let this pod reach it"
            ) from error


def _message(error: Any) -> str:
    """What the API server says, without the rest of its answer."""
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)


def _explain(status: int, message: str, what: str) -> ClusterError:
    if status == _NOT_FOUND:
        return NotFoundError(f"{what}: {message}: install KServe and the chart first")
    if status == _CONFLICT:
        return ConflictError(f"{what}: {message}: try again")
    if status in (401, 403):
        return ClusterError(
            f"Kubernetes refuses {what} ({message}): bind the Role of docs/promotion.md to "
            "the account that this runs as"
        )
    return ClusterError(f"Kubernetes failed at {what} ({status}: {message}): correct it, try again")
