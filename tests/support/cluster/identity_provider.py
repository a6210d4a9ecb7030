"""An OpenID Connect provider in a namespace of its own, and people who log in there."""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tests.support.cluster.kube import Namespace

IMAGE = "localhost/oidc-provider-mock:0.3.4"
PORT = 9400
USERS = {"ada": "observers", "eve": "guests"}
"""Groups by user."""
_NAME = "identity-provider"


@dataclass(frozen=True)
class IdentityProvider:
    """The provider.

    Attributes:
        namespace: Where it runs.
        host: Its host in the cluster, part of the issuer's URL.
        url: URL of a local port that is forwarded to it.
    """

    namespace: Namespace
    host: str
    url: str

    @property
    def issuer(self) -> str:
        """URL as which the provider names itself."""
        return f"http://{self.host}:{PORT}"

    def register_client(self, *redirect_urls: str) -> dict[str, str]:
        """Register a client, and return the data of the Secret that oauth2-proxy needs."""
        response = httpx.post(f"{self.url}/oauth2/clients", json={"redirect_uris": redirect_urls})
        client = response.raise_for_status().json()
        return {
            "client-id": client["client_id"],
            "client-secret": client["client_secret"],
            "cookie-secret": secrets.token_urlsafe(32),
        }


@contextmanager
def start_identity_provider() -> Iterator[IdentityProvider]:
    """Run the provider, which accepts registered clients only."""
    users = [
        f"--user-claims={json.dumps({**_make_claims(name), 'groups': [group]})}"
        for name, group in USERS.items()
    ]
    container = {
        "name": _NAME,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": ["--host=0.0.0.0", "--require-registration=true", "--require-nonce=true", *users],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/jwks", "port": PORT}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": _NAME, "labels": {"app": _NAME}},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": _NAME},
        "spec": {"selector": {"app": _NAME}, "ports": [{"port": PORT}]},
    }
    with Namespace.create("idp") as namespace:
        namespace.apply({"apiVersion": "v1", "kind": "List", "items": [pod, service]})
        namespace.kubectl("wait", f"pod/{_NAME}", "--for=condition=Ready", "--timeout=120s")
        host = f"{_NAME}.{namespace.name}.svc.cluster.local"
        with namespace.forward(f"pod/{_NAME}", PORT) as url:
            yield IdentityProvider(namespace, host, url)


def _make_claims(user: str) -> dict[str, object]:
    return {"sub": user, "email": f"{user}@example.org", "email_verified": True}


class _Tunnels(httpx.BaseTransport):
    """Connects to forwarded ports instead of the hosts of URLs; requests keep their Host header."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._urls = {host: httpx.URL(url) for host, url in urls.items()}
        self._transport = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        tunnel = self._urls[request.url.host]
        return self._transport.handle_request(
            httpx.Request(
                request.method,
                request.url.copy_with(host=tunnel.host, port=tunnel.port),
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
        )


class Visitor(httpx.Client):
    """An HTTP client with cookies, which follows redirects only if that is requested."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        """Initialize the client.

        Args:
            urls: URL of the forwarded port by host.
        """
        super().__init__(transport=_Tunnels(urls), timeout=60)

    def log_in(self, url: str, user: str) -> httpx.Response:
        """Open a page, log in at the provider, and return the response after all redirects."""
        form = self.get(url, follow_redirects=True)
        return self.post(form.url, data={"sub": user}, follow_redirects=True)
