"""A pod that receives messages as a webhook does, in a namespace without NetworkPolicies."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.cluster.chart import Installation
from tests.support.cluster.kube import Namespace, Shell, eventually

PORT = 8080
_SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Webhook(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open("/tmp/messages", "ab") as file:
            file.write(body + b"\\n")
        self.send_response(200)
        self.end_headers()

open("/tmp/messages", "ab").close()
HTTPServer(("", int(sys.argv[1])), Webhook).serve_forever()
"""
_START = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", *sys.argv[1:]], start_new_session=True,
                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""


@dataclass(frozen=True)
class Message:
    """A message that arrived."""

    title: str
    text: str


class Receiver:
    """The pod.

    Attributes:
        ip: Its address.
        url: The channel, as Apprise's URL.
    """

    def __init__(self, namespace: Namespace, image: str) -> None:
        """Start the server and wait until it accepts connections.

        Args:
            namespace: Where to run the pod.
            image: An image with Python.
        """
        self._shell = Shell(namespace, "receiver", image, {})
        self.ip: str = namespace.get("pod/receiver")["status"]["podIP"]
        self.url = f"json://{self.ip}:{PORT}/hook"
        self._shell.run_python(_START, _SERVER, str(PORT))
        eventually(lambda: self._shell.can_connect("127.0.0.1", PORT), 30)

    def read(self) -> list[Message]:
        """Return all messages so far, in the order of their arrival."""
        lines = self._shell.run_python("print(open('/tmp/messages').read())").splitlines()
        bodies = [json.loads(line) for line in lines if line]
        return [Message(body["title"], body["message"]) for body in bodies]


@contextmanager
def start_receiver(installation: Installation) -> Iterator[Receiver]:
    """Run the pod, in the image of an installation's predictors."""
    runtime = installation.namespace.get("servingruntime/skyclass")
    with Namespace.create("receiver") as namespace:
        yield Receiver(namespace, runtime["spec"]["containers"][0]["image"])
