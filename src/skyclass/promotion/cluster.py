"""The calls to the Kubernetes API that a promotion needs, each with a timeout and retries.

Objects are plain dictionaries. The Kubernetes client is imported when a cluster is opened, because
a single machine does not need it.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import urllib3

from skyclass.errors import ClusterError
from skyclass.http import describe_failure
from skyclass.proxies import find_proxy, make_proxy_headers
from skyclass.urls import omit_credentials

FIELD_MANAGER = "skyclass-promotion"

KubernetesObject = dict[str, Any]

_SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices"
_CORE = "/api/v1/namespaces/{}"
_TIMEOUT = (3.0, 15.0)
"""Seconds to connect and to read."""
_RETRIES = 3
_BACKOFF_SECONDS = 0.5
_TEMPORARY = (429, 500, 502, 503, 504)
_NOT_FOUND, _CONFLICT = 404, 409


class NotFoundError(ClusterError):
    """The object does not exist."""


class ConflictError(ClusterError):
    """The object was changed since it was read."""


class Cluster:
    """One namespace of a Kubernetes cluster with KServe."""

    def __init__(self, namespace: str) -> None:
        """Configure a client from the pod's service account, otherwise from KUBECONFIG.

        Raises:
            ClusterError: Neither is available.
        """
        from kubernetes import client, config

        self.namespace = namespace
        settings = client.Configuration()
        try:
            try:
                config.load_incluster_config(settings)
            except config.ConfigException:
                # Passed explicitly: the library reads KUBECONFIG only when it is imported.
                kubeconfig = os.environ.get("KUBECONFIG")
                config.load_kube_config(kubeconfig, client_configuration=settings)
        except (config.ConfigException, OSError) as error:
            raise ClusterError(
                f"SKYCLASS_NAMESPACE is {namespace}, but no cluster is configured ({error}): "
                "set KUBECONFIG, or unset SKYCLASS_NAMESPACE on one machine"
            ) from error
        settings.retries = urllib3.Retry(
            total=_RETRIES,
            backoff_factor=_BACKOFF_SECONDS,
            status_forcelist=_TEMPORARY,
            raise_on_status=False,
        )
        settings.proxy = settings.proxy or find_proxy(settings.host)  # a kubeconfig may have one
        if settings.proxy and not settings.proxy_headers:
            settings.proxy_headers = make_proxy_headers(settings.proxy)
        self._host = omit_credentials(settings.host)
        self._client = client.ApiClient(settings)
        self._services = _SERVICES.format(namespace)
        self._core = _CORE.format(namespace)

    def get_inference_service(self, name: str) -> KubernetesObject | None:
        """Return an InferenceService, or None."""
        return self._find(f"{self._services}/{name}")

    def apply(self, service: KubernetesObject) -> KubernetesObject:
        """Apply an InferenceService server-side.

        Its fields become owned by this project, whoever set them before; fields owned before and
        missing from it are removed.

        Raises:
            ConflictError: It has a resourceVersion, and the stored object has another one.
        """
        body = {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            **service,
        }
        path = f"{self._services}/{service['metadata']['name']}"
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return self._call("PATCH", path, query, body, "application/apply-patch+yaml")

    def delete(self, name: str, uid: str) -> None:
        """Delete an InferenceService, unless its name belongs to another uid by now."""
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Foreground"}
        with suppress(NotFoundError):
            self._call("DELETE", f"{self._services}/{name}", {}, body)

    def get_config_map(self, name: str) -> Mapping[str, str] | None:
        """Return the data of a ConfigMap, or None."""
        found = self._find(f"{self._core}/configmaps/{name}")
        return found.get("data") or {} if found else None

    def list_pods(self, service: str) -> list[KubernetesObject]:
        """Return the pods of an InferenceService."""
        query = {"labelSelector": f"serving.kserve.io/inferenceservice={service}"}
        return self._call("GET", f"{self._core}/pods", query)["items"]

    def get_from_service(self, service: str, path: str) -> Any:
        """Send a GET request to a Service through the proxy of the API server."""
        return self._call("GET", f"{self._core}/services/{service}:80/proxy{path}", {})

    def _find(self, path: str) -> KubernetesObject | None:
        try:
            return self._call("GET", path, {})
        except NotFoundError:
            return None

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: KubernetesObject | None = None,
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
                f"the Kubernetes API at {self._host} is unreachable ({describe_failure(error)}): "
                "check KUBECONFIG, and that NetworkPolicies let this pod reach it"
            ) from error


def _message(error: Any) -> str:
    """Return the message of an error response of the API server."""
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
            f"Kubernetes rejected {what} ({message}): bind the Role of docs/promotion.md to "
            "the ServiceAccount of this process"
        )
    return ClusterError(f"{what} failed ({status}: {message}): fix the cause and try again")
