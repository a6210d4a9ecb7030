"""SIGKILL for containers and pods, as a crash or a loss of power ends them.

The signal is sent from the node, by a pod with the PID namespace of the host: an administrator can
start it on any cluster. A command in the container (`kubectl exec`, an ephemeral container) shares
the PID namespace in which the first process ignores SIGKILL. `kubectl delete --force` sends SIGTERM
first, and deletes the pod with its volumes, which a restart of the node keeps.
"""

from collections.abc import Iterable
from typing import Any

from tests.support.cluster.kube import Namespace, Shell

_KILL = """
import os, pathlib, signal, sys
killed = 0
for path in pathlib.Path("/proc").glob("[0-9]*/cgroup"):
    try:
        groups = path.read_text()
    except OSError:  # the process has ended
        continue
    if any(name in groups for name in sys.argv[1:]):
        os.kill(int(path.parent.name), signal.SIGKILL)
        killed += 1
print(killed)
"""


class Node(Shell):
    """A pod that kills processes of other pods on its node."""

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
        return self._kill([get_status(pod, container)["containerID"].rpartition("/")[2]])

    def kill_pods(self, pods: Iterable[dict[str, Any]]) -> int:
        """Kill all processes of pods with their sandboxes, and return their number."""
        uids = [pod["metadata"]["uid"] for pod in pods]
        # The driver `systemd` of control groups writes underscores.
        return self._kill([*uids, *(uid.replace("-", "_") for uid in uids)])

    def _kill(self, names: list[str]) -> int:
        return int(self.run_python(_KILL, *names))


def get_status(pod: dict[str, Any], container: str) -> dict[str, Any]:
    """Return the status of a container."""
    statuses = pod["status"].get("containerStatuses", [])
    return next((each for each in statuses if each["name"] == container), {})
