"""What a pipeline run needs from the chart, used from Kubeflow Pipelines' namespace."""

from tests.support.cluster.chart import Installation
from tests.support.cluster.kube import Namespace

MODE = "photometric"


def run_step(installation: Installation, kfp: Namespace, role: str, *arguments: str) -> str:
    """Start a Job as a step's pod would be: its account, its settings, the keys of its role."""
    job = f"{role}-{arguments[0]}"
    (own,) = installation.namespace.get("jobs", "-l", "app.kubernetes.io/component=bootstrap")[
        "items"
    ]
    pod = own["spec"]["template"]["spec"]
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


def test_the_publish_step_may_promote(lively: Installation, kfp: Namespace) -> None:
    champion = lively.release(MODE)

    job = run_step(lively, kfp, "publish", "promote", champion)

    assert kfp.finish(job), kfp.logs(job)
    assert lively.release(MODE) == champion


def test_the_train_step_may_look_and_not_promote(lively: Installation, kfp: Namespace) -> None:
    looking = run_step(lively, kfp, "train", "releases", "--mode", MODE)
    assert kfp.finish(looking), kfp.logs(looking)
    assert lively.release(MODE)[:12] in kfp.logs(looking)

    promoting = run_step(lively, kfp, "train", "promote", lively.release(MODE))
    assert not kfp.finish(promoting)
    assert "access denied" in kfp.logs(promoting)
