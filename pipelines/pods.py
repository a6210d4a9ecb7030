"""Resources, credentials and security context of the steps' pods. Local runs ignore them."""

from collections.abc import Sequence
from dataclasses import dataclass

from kfp import kubernetes
from kfp.dsl import PipelineTask

from skyclass.orchestration.package import DEFAULT_NAMES

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
SIGNING_SETTINGS = ("SKYCLASS_SIGNING_KEY",)
_SIGNING_KEY_FOLDER = "/etc/skyclass"
NOTIFICATION_SETTINGS = (
    "SKYCLASS_NOTIFICATION_URLS_FILE",
    "SKYCLASS_NOTIFICATION_KINDS",
    "SKYCLASS_MONITOR_URL",
    "KF_PIPELINES_UI_ENDPOINT",
)
_CHANNELS_FOLDER = "/etc/skyclass-notifications"
LIMITS_SETTINGS = ("SKYCLASS_EXPECTATIONS_FILE",)
_LIMITS_FOLDER = "/etc/skyclass-expectations"

USER = 10001
"""User of the image; Pod Security `restricted` requires a pod to set one."""

RETRY_POLICY = {
    "maxRetryCount": 2,
    "backoffDuration": "30s",
    "backoffFactor": 2.0,
    "backoffMaxDuration": "14400s",  # counted from the first start, so longer than any step
}
"""For lost pods. KFP does not retry failed code, so steps retry requests themselves."""


@dataclass(frozen=True)
class Pod:
    """Requirements of one step.

    Attributes:
        cpu: CPU request and limit.
        memory: Memory request and limit.
        timeout_seconds: Maximum lifetime of the pod, including the pull of its image.
        role: Role in the object store; None for a step without access.
        signs: Whether it signs releases if SKYCLASS_SIGNING_KEY is set.
        notifies: Whether it sends messages to the channels in SKYCLASS_NOTIFICATION_URLS_FILE.
        validates: Whether it validates rows, with the limits in SKYCLASS_EXPECTATIONS_FILE if set.
    """

    cpu: tuple[str, str]
    memory: tuple[str, str]
    timeout_seconds: int
    role: str | None = None
    signs: bool = False
    notifies: bool = False
    validates: bool = False


def configure_pod(task: PipelineTask, pod: Pod) -> PipelineTask:
    """Apply a pod's requirements to a task."""
    task.set_cpu_request(pod.cpu[0]).set_cpu_limit(pod.cpu[1])
    task.set_memory_request(pod.memory[0]).set_memory_limit(pod.memory[1])
    # Gradient boosting on shared cores is many times slower with a thread per core.
    task.set_env_variable("OMP_NUM_THREADS", "1")
    kubernetes.set_image_pull_policy(task, "IfNotPresent")
    kubernetes.set_timeout(task, pod.timeout_seconds)
    kubernetes.set_security_context(task, run_as_user=USER, run_as_group=USER, run_as_non_root=True)
    if pod.role is not None:
        # Optional: without them the step reports what is missing, where its pod would stay Pending.
        _use_settings(task, SETTINGS)
        secret = DEFAULT_NAMES.s3_secret.format(role=pod.role)
        kubernetes.use_secret_as_env(task, secret, _map_to_itself(CREDENTIALS), optional=True)
    if pod.signs:
        _use_settings(task, SIGNING_SETTINGS)
        kubernetes.use_secret_as_volume(
            task, DEFAULT_NAMES.signing_secret, _SIGNING_KEY_FOLDER, optional=True
        )
    if pod.notifies:
        _use_settings(task, NOTIFICATION_SETTINGS)
        kubernetes.use_secret_as_volume(
            task, DEFAULT_NAMES.notification_secret, _CHANNELS_FOLDER, optional=True
        )
    if pod.validates:
        _use_settings(task, LIMITS_SETTINGS)
        kubernetes.use_config_map_as_volume(
            task, DEFAULT_NAMES.expectations_config_map, _LIMITS_FOLDER, optional=True
        )
    return task


def _use_settings(task: PipelineTask, names: Sequence[str]) -> None:
    kubernetes.use_config_map_as_env(
        task, DEFAULT_NAMES.settings, _map_to_itself(names), optional=True
    )


def _map_to_itself(names: Sequence[str]) -> dict[str, str]:
    return {name: name for name in names}
