"""An HTTPS server with the public keys of a token issuer, in a namespace of its own."""

from dataclasses import dataclass, field
from typing import Any

from tests.support.certificates import Authority
from tests.support.cluster.chart import Installation
from tests.support.cluster.kube import Namespace

_PORT = 8443
_NAME = "keys"
_SERVE = """
import os, ssl, sys, tempfile
from http.server import BaseHTTPRequestHandler, HTTPServer
port, keys, certificate = sys.argv[1:]
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(keys.encode())
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
with tempfile.NamedTemporaryFile("w") as file:
    file.write(certificate)
    file.flush()
    context.load_cert_chain(file.name)
server = HTTPServer(("", int(port)), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
if os.fork() == 0:  # the parent ends when the socket listens
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    server.serve_forever()
"""


@dataclass(frozen=True)
class KeyServer:
    """The server.

    Attributes:
        namespace: Where it runs.
        authority: CA of its certificate.
    """

    namespace: Namespace
    authority: Authority = field(default_factory=Authority)

    @property
    def host(self) -> str:
        """Its host in the cluster."""
        return f"{_NAME}.{self.namespace.name}.svc.cluster.local"

    @property
    def url(self) -> str:
        """URL of the keys."""
        return f"https://{self.host}:{_PORT}/keys"

    @property
    def network_policy(self) -> dict[str, Any]:
        """Value `networkPolicy.issuers` that permits predictors to reach it, and nothing else."""
        labels = {"kubernetes.io/metadata.name": self.namespace.name}
        return {"peers": [{"namespaceSelector": {"matchLabels": labels}}], "ports": [_PORT]}

    def start(self, installation: Installation, keys: str) -> None:
        """Serve keys (JSON) from a pod with the image of an installation."""
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": _NAME},
            "spec": {"selector": {"app": _NAME}, "ports": [{"port": _PORT}]},
        }
        self.namespace.apply(service)
        issued = self.authority.issue(self.host)
        shell = installation.start_shell(_NAME, {"app": _NAME}, self.namespace)
        shell.run_python(_SERVE, str(_PORT), keys, issued.key + issued.certificate)
