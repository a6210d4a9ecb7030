"""Access of pipeline runs, from the namespace of Kubeflow Pipelines."""

from tests.support.cluster.chart import Installation
from tests.support.cluster.kube import Namespace

MODE = "photometric"


def test_the_publish_step_may_promote(scaled: Installation, kfp: Namespace) -> None:
    champion = scaled.get_release(MODE)

    job = scaled.start_step(kfp, "publish", "promote", champion)

    assert kfp.wait_for_job(job), kfp.read_logs(job)
    assert scaled.get_release(MODE) == champion


def test_the_train_step_may_list_releases_but_not_promote(
    scaled: Installation, kfp: Namespace
) -> None:
    listing = scaled.start_step(kfp, "train", "releases", "--mode", MODE)
    assert kfp.wait_for_job(listing), kfp.read_logs(listing)
    assert scaled.get_release(MODE)[:12] in kfp.read_logs(listing)

    promoting = scaled.start_step(kfp, "train", "promote", scaled.get_release(MODE))
    assert not kfp.wait_for_job(promoting)
    assert "access denied" in kfp.read_logs(promoting)
