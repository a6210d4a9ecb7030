"""Access of pipeline runs, from the namespace of Kubeflow Pipelines."""

from tests.support.cluster.chart import Installation
from tests.support.cluster.kube import Namespace

MODE = "photometric"


def start_step(installation: Installation, kfp: Namespace, role: str, *arguments: str) -> str:
    """Start a Job with the ServiceAccount, settings and keys of a step; return its name."""
    job = f"{role}-{arguments[0]}"
    (bootstrap,) = installation.namespace.get(
        "jobs", "-l", "app.kubernetes.io/component=bootstrap"
    )["items"]
    pod = bootstrap["spec"]["template"]["spec"]
    pod["serviceAccountName"] = "pipeline-runner"
    (container,) = pod["containers"]
    container |= {
        "command": ["skyclass"],
        "args": list(arguments),
        "env": [{"name": "SKYCLASS_HOME", "value": "/tmp/skyclass"}],  # noqa: S108 - in the pod
        "envFrom": [
            {"configMapRef": {"name": f"{installation.name}-settings"}},
            {"secretRef": {"name": f"{installation.name}-s3-{role}"}},
        ],
    }
    kfp.apply(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": job},
            "spec": {"template": {"spec": pod}, "backoffLimit": 0},
        }
    )
    return job


def test_the_publish_step_may_promote(scaled: Installation, kfp: Namespace) -> None:
    champion = scaled.get_release(MODE)

    job = start_step(scaled, kfp, "publish", "promote", champion)

    assert kfp.wait_for_job(job), kfp.read_logs(job)
    assert scaled.get_release(MODE) == champion


def test_the_train_step_may_list_releases_but_not_promote(
    scaled: Installation, kfp: Namespace
) -> None:
    listing = start_step(scaled, kfp, "train", "releases", "--mode", MODE)
    assert kfp.wait_for_job(listing), kfp.read_logs(listing)
    assert scaled.get_release(MODE)[:12] in kfp.read_logs(listing)

    promoting = start_step(scaled, kfp, "train", "promote", scaled.get_release(MODE))
    assert not kfp.wait_for_job(promoting)
    assert "access denied" in kfp.read_logs(promoting)
