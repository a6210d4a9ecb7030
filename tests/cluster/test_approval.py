"""Releases that a person decides about, and rejected challengers: the endpoint is not changed."""

from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from skyclass.promotion.approvals import ApprovalLog, find_waiting
from skyclass.promotion.events import PromotionLog
from skyclass.registry.releases import Registry, Release
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.cluster.chart import Installation
from tests.support.cluster.kube import Namespace, Shell, eventually
from tests.support.html import extract_text

MODE = "photometric"
SERVICE = f"skyclass-{MODE}"
PAGE_SECONDS = 60
"""The monitor caches what it has read for some seconds."""
GET_METADATA = """
import json, sys, urllib.request
print(json.load(urllib.request.urlopen(sys.argv[1], timeout=60))["versions"])
"""


@pytest.fixture
def champion(scaled: Installation, kfp: Namespace) -> Iterator[Release]:
    """The champion, which is promoted again after the test."""
    served = scaled.get_release(MODE)
    with scaled.connect_to_store() as settings:
        release = Registry(ObjectStore(settings)).find(served)
    yield release
    if scaled.get_release(MODE) != served:
        promote(scaled, kfp, served)


def promote(scaled: Installation, kfp: Namespace, *arguments: str) -> str:
    """Run `skyclass promote` with the permissions of docs/promotion.md, and return its output."""
    job = scaled.start_step(kfp, "publish", "promote", *arguments)
    assert kfp.wait_for_job(job), kfp.read_logs(job)
    return kfp.read_logs(job)


def train(scaled: Installation, champion: Release, **parameters: str) -> Release:
    """Train on the rows that are ingested already, and return the release."""
    job = scaled.start_training(
        MODE,
        source_uri="table:",
        newest_rows=str(champion.manifest.training_set.rows),
        **parameters,
    )
    assert scaled.namespace.wait_for_job(job, 900), scaled.namespace.read_logs(job)
    with scaled.connect_to_store() as settings:
        return Registry(ObjectStore(settings)).list_releases(Mode(MODE))[-1]


def get_served(scaled: Installation) -> tuple[str, Any]:
    """Return what changes with each promotion, and with nothing else: uid and specification."""
    service = scaled.namespace.get(f"inferenceservice/{SERVICE}")
    return service["metadata"]["uid"], service["spec"]


def wait_for_page(scaled: Installation, path: str, text: str) -> str:
    """Wait until a page of the monitor has a text, and return the text of the page."""
    with scaled.namespace.forward(f"service/{scaled.name}-monitor", 80) as address:

        def read() -> str:
            found = extract_text(urllib3.request("GET", f"{address}{path}").data.decode())
            return found if text in found else ""

        return eventually(read, PAGE_SECONDS, interval=3)


def test_a_release_waits_until_it_is_approved(
    scaled: Installation, kfp: Namespace, caller: Shell, champion: Release
) -> None:
    before = get_served(scaled)
    # The same algorithm on the same rows: not worse than the champion.
    release = train(scaled, champion, promotion="approve", candidates=champion.manifest.candidate)

    assert release.manifest.gate.passed, release.manifest.gate.reason
    with scaled.connect_to_store() as settings:
        approvals = ApprovalLog(ObjectStore(settings)).list_approvals(Mode(MODE), champion.id)
        promotions = PromotionLog(ObjectStore(settings)).list_promotions(Mode(MODE))
    waiting = find_waiting(approvals)
    assert waiting is not None
    assert waiting.release == release.id
    assert promotions[-1].to_release == champion.id
    assert get_served(scaled) == before, "the endpoint was changed"
    page = wait_for_page(scaled, f"/releases/{release.id}", "Waits for approval")
    assert f"skyclass promote {release.id[:12]} --approve" in page

    promote(scaled, kfp, release.id[:12], "--approve", "--reason", "checked by eye", "--by", "vera")

    assert scaled.get_release(MODE) == release.id
    address = f"http://{SERVICE}-predictor/v2/models/{SERVICE}"
    # Pods of the previous release may respond until they have ended.
    eventually(lambda: release.id in caller.run_python(GET_METADATA, address), 60)
    with scaled.connect_to_store() as settings:
        event = PromotionLog(ObjectStore(settings)).list_promotions(Mode(MODE))[-1]
    assert (event.from_release, event.to_release) == (champion.id, release.id)
    assert (event.approved_by, event.reason) == ("vera", "checked by eye")
    wait_for_page(scaled, f"/{MODE}/releases", "Approved by vera.")


def test_a_rejected_challenger_leaves_the_endpoint_unchanged(
    scaled: Installation, kfp: Namespace, champion: Release
) -> None:
    before = get_served(scaled)
    release = train(scaled, champion, promotion="if_better", candidates="decision_tree")

    gate = release.manifest.gate
    assert not gate.passed, gate.reason
    assert gate.champion == champion.id
    assert get_served(scaled) == before, "the endpoint was changed"
    page = wait_for_page(scaled, f"/releases/{release.id}", "Gate failed")
    assert gate.reason in page

    job = scaled.start_step(kfp, "publish", "promote", release.id)
    assert not kfp.wait_for_job(job)
    assert "did not pass its gate" in kfp.read_logs(job)
    assert get_served(scaled) == before
