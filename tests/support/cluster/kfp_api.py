"""A pod that serves KFP's API, in the namespace that takes the place of KFP's."""

from pathlib import Path

from tests.support import kfp_server
from tests.support.cluster.kube import Namespace, Shell, eventually

NAME = "ml-pipeline"
"""Name of KFP's API server, as the chart calls it."""
PORT = 8888
_SERVE = f"""
with running("", {PORT}) as kfp:
    kfp.ended.wait()
"""
_START = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", sys.argv[1]], start_new_session=True,
                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""


def start_kfp_api(namespace: Namespace, image: str) -> None:
    """Start the server, and wait until it accepts connections; it ends with the namespace.

    Args:
        namespace: The namespace.
        image: An image with KFP's client.
    """
    shell = Shell(namespace, NAME, image, {"app": NAME})
    service = {"selector": {"app": NAME}, "ports": [{"port": PORT, "targetPort": PORT}]}
    namespace.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME}, "spec": service}
    )
    shell.run_python(_START, Path(kfp_server.__file__).read_text() + _SERVE)
    eventually(lambda: shell.can_connect("127.0.0.1", PORT), 30)
