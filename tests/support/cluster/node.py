"""SIGKILL for containers and pods, as a crash or a loss of power ends them; and pauses of pods.

The signal is sent from the node, by a pod with the PID namespace of the host: an administrator can
start it on any cluster. A command in the container (`kubectl exec`, an ephemeral container) shares
the PID namespace in which the first process ignores SIGKILL. `kubectl delete --force` sends SIGTERM
first, and deletes the pod with its volumes, which a restart of the node keeps.
"""

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.cluster.kube import Namespace, Shell

_SEND_SIGNAL = """
import os, pathlib, sys, time

def find_processes(names):
    for path in pathlib.Path("/proc").glob("[0-9]*/cgroup"):
        try:
            groups = path.read_text()
        except OSError:  # the process has ended
            continue
        if any(name in groups for name in names):
            yield path.parent

def is_connected(process):
    try:
        lines = (process / "net/tcp").read_text().splitlines()[1:]
    except OSError:  # the process has ended
        return False
    return any(line.split()[3] == "01" for line in lines)  # ESTABLISHED

number, awaited, names = int(sys.argv[1]), sys.argv[2].split(), sys.argv[3:]
deadline = time.monotonic() + 120
while awaited and not any(map(is_connected, find_processes(awaited))):
    if time.monotonic() > deadline:
        sys.exit("error: the pod has opened no connection on this node within 120 s")
    time.sleep(0.01)
found = 0
for process in find_processes(names):
    try:
        os.kill(int(process.name), number)
    except ProcessLookupError:  # it has ended
        continue
    found += 1
print(found)
"""


class Node(Shell):
    """A pod that sends signals to processes of other pods on its node."""

    def __init__(self, namespace: Namespace, node: str, image: str) -> None:
        """Start the pod and wait until it is ready.

        Args:
            namespace: A namespace that enforces Pod Security `privileged`.
            node: Name of the node.
            image: An image with Python.
        """
        self.namespace, self.name = namespace, "node"
        container = {
            "name": "python",
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["python", "-c", "import time; time.sleep(86400)"],
            "securityContext": {"runAsUser": 0},
        }
        spec = {
            "nodeName": node,
            "hostPID": True,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        }
        metadata = {"name": self.name}
        namespace.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        namespace.kubectl("wait", f"pod/{self.name}", "--for=condition=Ready", "--timeout=120s")

    def kill_container(self, pod: dict[str, Any], container: str) -> int:
        """Kill all processes of a container, and return their number."""
        name = get_status(pod, container)["containerID"].rpartition("/")[2]
        return self._send(signal.SIGKILL, [name])

    def kill_pods(self, pods: Iterable[dict[str, Any]], awaited: dict[str, Any]) -> int:
        """Kill all processes of pods with their sandboxes, while one of them is at work.

        The API server learns that a container runs when a short job may be over already; the node
        sees its first connection at once.

        Args:
            pods: The pods.
            awaited: The pod that must have opened a connection, such as to the object store.

        Returns:
            Number of killed processes.
        """
        names = [name for pod in pods for name in _name_groups(pod)]
        return self._send(signal.SIGKILL, names, _name_groups(awaited))

    @contextmanager
    def pause(self, pod: dict[str, Any]) -> Iterator[None]:
        """Stop a pod at work, as soon as it has a connection, and let it continue afterwards."""
        names = _name_groups(pod)
        try:
            assert self._send(signal.SIGSTOP, names, names), "the pod has ended"
            yield
        finally:
            self._send(signal.SIGCONT, names)

    def _send(self, number: signal.Signals, names: list[str], awaited: Iterable[str] = ()) -> int:
        """Send a signal to all processes of control groups, and return their number."""
        return int(self.run_python(_SEND_SIGNAL, str(int(number)), " ".join(awaited), *names))


@contextmanager
def start_node(neighbour: Shell) -> Iterator[Node]:
    """Start the pod in a namespace of its own, on the node and with the image of another one."""
    spec = neighbour.namespace.get(f"pod/{neighbour.name}")["spec"]
    with Namespace.create("node", "privileged") as namespace:
        yield Node(namespace, spec["nodeName"], spec["containers"][0]["image"])


def _name_groups(pod: dict[str, Any]) -> list[str]:
    """Return the names that the control groups of a pod may have."""
    uid = pod["metadata"]["uid"]
    return [uid, uid.replace("-", "_")]  # the driver `systemd` writes underscores


def get_status(pod: dict[str, Any], container: str) -> dict[str, Any]:
    """Return the status of a container."""
    statuses = pod["status"].get("containerStatuses", [])
    return next((each for each in statuses if each["name"] == container), {})
