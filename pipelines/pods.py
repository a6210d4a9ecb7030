"""What the pods of a pipeline's steps are given on Kubernetes: who they are, and how much of it.

KFP's local runner knows none of this and ignores it.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from kfp import kubernetes
from kfp.dsl import PipelineTask

SECRET = os.environ.get("SKYCLASS_S3_SECRET", "skyclass-s3-{role}")
"""Secret with the keys of a role in the object store. Without {role} in it, all share one."""

CONFIG_MAP = os.environ.get("SKYCLASS_SETTINGS", "skyclass-settings")
"""ConfigMap with everything about the surroundings that is no secret."""

SIGNING_SECRET = os.environ.get("SKYCLASS_SIGNING_SECRET", "skyclass-signing")
"""Secret with the key that releases are signed with, as private.pem, where they are signed."""

CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
SETTINGS = (
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "SKYCLASS_DATA_BUCKET",
    "SKYCLASS_MODELS_BUCKET",
    "SKYCLASS_LOGS_BUCKET",
    "SKYCLASS_REPORTS_BUCKET",
    "SKYCLASS_SKYSERVER_URL",
    "SKYCLASS_SKYSERVER_CONTACT",
    "SKYCLASS_NAMESPACE",
    "SKYCLASS_INFERENCE_SERVICE_TEMPLATES",
    "SKYCLASS_PROMOTION_SECONDS",
)

SIGNING = ("SKYCLASS_SIGNING_KEY",)
_KEY_FOLDER = "/etc/skyclass"

USER = 10001
"""The user of the image; under Pod Security `restricted` a pod has to say so itself."""

RETRIES = {
    "maxRetryCount": 2,
    "backoffDuration": "30s",
    "backoffFactor": 2.0,
    "backoffMaxDuration": "14400s",  # counted from the first start, so longer than any step
}
"""For a pod that is lost. What a step can try again itself, it does: KFP repeats no failed code."""


@dataclass(frozen=True)
class Pod:
    """What one step needs.

    Attributes:
        cpu: CPU that is requested, and the limit.
        memory: Memory that is requested, and the limit.
        seconds: How long the pod may live, the pull of its image included.
        role: Its role in the object store; none for a step that never goes there.
        signs: Whether it signs releases, where the settings name the key.
    """

    cpu: tuple[str, str]
    memory: tuple[str, str]
    seconds: int
    role: str | None = None
    signs: bool = False


def dress(task: PipelineTask, pod: Pod) -> PipelineTask:
    """Give a step's pod what it needs, and no more."""
    task.set_cpu_request(pod.cpu[0]).set_cpu_limit(pod.cpu[1])
    task.set_memory_request(pod.memory[0]).set_memory_limit(pod.memory[1])
    # Gradient boosting on shared cores is many times slower with a thread per core.
    task.set_env_variable("OMP_NUM_THREADS", "1")
    kubernetes.set_image_pull_policy(task, "IfNotPresent")
    kubernetes.set_timeout(task, pod.seconds)
    kubernetes.set_security_context(task, run_as_user=USER, run_as_group=USER, run_as_non_root=True)
    if pod.role is not None:
        # Optional, because a pod waits without a word for what is missing, where the step says so.
        kubernetes.use_config_map_as_env(task, CONFIG_MAP, _same(SETTINGS), optional=True)
        secret = SECRET.format(role=pod.role)
        kubernetes.use_secret_as_env(task, secret, _same(CREDENTIALS), optional=True)
    if pod.signs:
        kubernetes.use_config_map_as_env(task, CONFIG_MAP, _same(SIGNING), optional=True)
        kubernetes.use_secret_as_volume(task, SIGNING_SECRET, _KEY_FOLDER, optional=True)
    return task


def _same(names: Sequence[str]) -> dict[str, str]:
    return {name: name for name in names}
