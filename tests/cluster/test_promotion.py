"""Promotion on a real cluster: the predictor's answers change, or stay; they never stop.

The chart is installed without a first release. Who promotes is an account outside of the cluster,
with the Role of docs/promotion.md and no other.
"""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from skyclass.errors import PromotionError
from skyclass.promotion.champions import open_champion_store
from skyclass.promotion.events import Promotion, PromotionLog
from skyclass.promotion.inference_service import RELEASE, RUN, TRAINING_SET
from skyclass.promotion.rollout import OvertakenError, Rollouts
from skyclass.registry.releases import MANIFEST, ONNX_MODEL, Registry, Release
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode, model_name
from tests.support.cluster.chart import Installation
from tests.support.cluster.kube import Namespace, Shell, eventually, run
from tests.support.cluster.load import Load, steady
from tests.support.predictor import Site, publish
from tests.support.processes import KILLED, exit_code

MODE = Mode.PHOTOMETRIC
VALUES = {
    "bootstrap__enabled": False,
    "drift__enabled": False,
    "monitor__enabled": False,
    "predictPage__enabled": False,
    # Promotion asks the predictor through the API server here, which is no pod.
    "networkPolicy__enabled": False,
}
# From outside of the cluster only: inside, the predictor is asked at its own address.
THROUGH_THE_API_SERVER = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: ask-predictors}
rules:
  - apiGroups: [""]
    resources: [services/proxy]
    resourceNames: ["skyclass-spectroscopic-predictor:80", "skyclass-photometric-predictor:80"]
    verbs: [get]
"""


@dataclass(frozen=True)
class Place:
    """The chart in a namespace of its own, its object store reachable from here."""

    installation: Installation
    site: Site
    shell: Shell

    @property
    def namespace(self) -> Namespace:
        return self.installation.namespace

    def settings(self, **changes: Any) -> Settings:
        return self.site.settings.model_copy(update=changes)

    def promote(self, release: Release, **changes: Any) -> Promotion:
        return open_champion_store(self.settings(**changes)).promote(release, "for a test", "test")

    def champion(self, mode: Mode = MODE) -> str | None:
        found = open_champion_store(self.settings()).get_champion(mode)
        return found.id if found else None

    def history(self) -> list[tuple[str | None, str]]:
        promotions = open_champion_store(self.settings()).list_promotions(MODE)
        return [(event.from_release, event.to_release) for event in promotions]

    def service(self, mode: Mode = MODE) -> dict[str, Any]:
        return dict(self.namespace.get(f"inferenceservice/{model_name(mode)}"))

    def served_uri(self) -> str:
        return str(self.service()["spec"]["predictor"]["model"]["storageUri"])

    def uri(self, release: Release) -> str:
        return f"s3://{self.site.settings.models_bucket}/{release.prefix}"

    def pods(self) -> set[str]:
        label = f"serving.kserve.io/inferenceservice={model_name(MODE)}"
        return self.namespace.names("pods", label)

    def settle(self) -> None:
        """Wait until the pods of before have ended, which they may do after a promotion has."""
        wanted = self.service()["spec"]["predictor"]["minReplicas"]
        eventually(lambda: len(self.pods()) == wanted, 120)

    def upgrade(self, replicas: int) -> None:
        """Change the templates with `helm upgrade`."""
        self.installation.install(predictor__minReplicas=replicas, predictor__maxReplicas=replicas)

    def damage(self, release: Release, name: str) -> None:
        bucket, key = self.site.settings.models_bucket, release.prefix + name
        data = self.site.store.get(bucket, key)
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        self.site.store.put(bucket, key, flipped, "application/octet-stream")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("home")
    with Namespace.fresh("promotion") as namespace, pytest.MonkeyPatch.context() as patched:
        installation = Installation(namespace, "skyclass", **VALUES)
        installation.install()
        (provision,) = namespace.names("jobs")
        assert namespace.finish(provision), namespace.logs(provision)
        account = home / "promoter.kubeconfig"
        account.write_text(json.dumps(promoter(namespace)))
        patched.setenv("KUBECONFIG", str(account))
        shell = installation.shell("caller", {"skyclass-client": "true"})
        with installation.store() as settings:
            settings = settings.model_copy(
                update={"home": home, "namespace": namespace.name, "promotion_seconds": 240}
            )
            store = ObjectStore(settings)
            site = Site(settings, dict(os.environ), store, Registry(store))
            yield Place(installation, site, shell)


def promoter(namespace: Namespace) -> dict[str, Any]:
    """The administrator's way to the cluster, with the token of an account that may promote."""
    account = f"--serviceaccount={namespace.name}:promoter"
    namespace.kubectl("create", "serviceaccount", "promoter")
    namespace.kubectl("apply", "-f", "-", given=THROUGH_THE_API_SERVER)
    for role in ("skyclass-promote", "ask-predictors"):
        namespace.kubectl("create", "rolebinding", f"test-{role}", f"--role={role}", account)
    admin = json.loads(run("kubectl", "config", "view", "--raw", "--minify", "-o", "json"))
    token = namespace.kubectl("create", "token", "promoter", "--duration", "2h").strip()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": admin["clusters"][0]["cluster"]}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }


@pytest.fixture(scope="module")
def releases(place: Place, tmp_path_factory: pytest.TempPathFactory) -> tuple[Release, Release]:
    """Two releases that can be served."""
    folders = (tmp_path_factory.mktemp("a"), tmp_path_factory.mktemp("b"))
    first, second = (
        publish(place.site, folder, MODE, seed, run_id=f"run-{seed}")
        for seed, folder in enumerate(folders)
    )
    return first, second


@pytest.fixture
def first(place: Place, releases: tuple[Release, Release]) -> Release:
    """A release that is champion when the test begins."""
    if place.champion() != releases[0].id:
        place.promote(releases[0])
    place.settle()
    return releases[0]


@pytest.fixture
def second(first: Release, releases: tuple[Release, Release]) -> Release:
    """Another one, which is not."""
    return releases[1]


@contextmanager
def asking(place: Place) -> Iterator[Load]:
    """Ask all the time, until no pod of before is left, and require an answer to everything."""
    with steady(place.shell, MODE) as load:
        yield load
        place.settle()
    assert len(load.versions) > 100


def test_a_promotion_says_what_is_served(place: Place, first: Release) -> None:
    annotations = place.service()["metadata"]["annotations"]
    assert annotations[RELEASE] == first.id
    assert annotations[RUN] == "run-0"
    assert annotations[TRAINING_SET] == "s3://skyclass-data/observations@1"
    assert place.served_uri() == place.uri(first)
    assert place.champion() == first.id
    assert place.history()[-1][1] == first.id


def test_a_promotion_under_load_loses_no_request_and_a_rollback_leads_back(
    place: Place, first: Release, second: Release
) -> None:
    with asking(place) as load:
        event = place.promote(second)
    assert (event.from_release, event.to_release) == (first.id, second.id)
    assert load.versions[0] == first.id
    assert set(load.versions[-10:]) == {second.id}
    assert place.champion() == second.id

    everyone = open_champion_store(place.settings())
    with asking(place) as load:
        assert everyone.get_rollback_target(MODE) == first
        everyone.promote(everyone.get_rollback_target(MODE), "rolled back", "test")
    assert set(load.versions[-10:]) == {first.id}
    assert place.champion() == first.id


def flipped(place: Place, folder: Path) -> Release:
    release = publish(place.site, folder, MODE, seed=2)
    place.damage(release, ONNX_MODEL)
    return release


def of_another_library(place: Place, folder: Path) -> Release:
    libraries = {"scikit-learn": "1.5.2"}
    return publish(place.site, folder, MODE, seed=3, onnx=False, libraries=libraries)


def forged(place: Place, folder: Path) -> Release:
    """A whole and proper release, in the place of another."""
    release = publish(place.site, folder / "a", MODE, seed=4)
    other = publish(place.site, folder / "b", MODE, seed=5)
    bucket = place.site.settings.models_bucket
    for name in (*(entry.path for entry in other.manifest.files), MANIFEST):
        data = place.site.store.get(bucket, other.prefix + name)
        place.site.store.put(bucket, release.prefix + name, data, "application/octet-stream")
    return release


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (flipped, r"model\.onnx: \d+ bytes with digest \w+, expected \d+ bytes"),
        (of_another_library, r"pickled with scikit-learn 1\.5\.2, installed is 1\.9\.1"),
        (forged, r"the manifest or storageUri was modified"),
    ],
)
def test_a_broken_release_is_refused_in_words_and_the_champion_goes_on_answering(
    place: Place,
    first: Release,
    tmp_path: Path,
    break_it: Callable[[Place, Path], Release],
    words: str,
) -> None:
    broken = break_it(place, tmp_path)
    pods, history = place.pods(), place.history()
    with asking(place) as load, pytest.raises(PromotionError, match=words) as error:
        place.promote(broken)
    assert "\n" not in str(error.value)
    assert f"release {first.id[:12]} is served as before" in str(error.value)
    assert set(load.versions) == {first.id}
    assert place.served_uri() == place.uri(first)
    assert place.champion() == first.id
    assert place.history() == history
    assert pods <= place.pods(), "the pods that answered were replaced"


def test_without_a_champion_a_broken_release_leaves_nothing(place: Place, tmp_path: Path) -> None:
    mode = Mode.SPECTROSCOPIC
    broken = publish(place.site, tmp_path, mode, seed=6)
    place.damage(broken, ONNX_MODEL)
    with pytest.raises(PromotionError, match="it was the first, so nothing is served"):
        place.promote(broken)
    assert model_name(mode) not in place.namespace.names("inferenceservices")
    assert place.champion(mode) is None


def test_a_release_that_takes_too_long_is_taken_back(
    place: Place, first: Release, second: Release
) -> None:
    with pytest.raises(PromotionError, match=r"not served after 1 s: (no new )?pod"):
        place.promote(second, promotion_seconds=1)
    assert place.served_uri() == place.uri(first)
    place.promote(first)
    assert place.champion() == first.id


def test_of_two_promotions_at_once_one_wins(
    place: Place, first: Release, second: Release, tmp_path: Path
) -> None:
    third = publish(place.site, tmp_path, MODE, seed=7)
    outcomes: dict[str, Promotion | OvertakenError] = {}
    together = threading.Barrier(2)

    def run(release: Release) -> None:
        together.wait()
        try:
            outcomes[release.id] = place.promote(release)
        except OvertakenError as error:
            outcomes[release.id] = error

    with asking(place):
        threads = [threading.Thread(target=run, args=(each,)) for each in (second, third)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    [winner] = [key for key, found in outcomes.items() if isinstance(found, Promotion)]
    [loser] = [found for found in outcomes.values() if isinstance(found, OvertakenError)]
    assert "another promotion" in str(loser)
    assert place.champion() == winner
    assert place.history()[-1] == (first.id, winner)


def promote_until(name: str, settings: Settings, release: Release) -> None:
    """What a child does: promote, and die before a step."""

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(*{"wait": (Rollouts, "wait"), "record": (PromotionLog, "append")}[name], die)
    open_champion_store(settings).promote(release, "for a test", "test")


def test_a_promotion_that_died_before_it_was_recorded_is_adopted(
    place: Place, first: Release, second: Release
) -> None:
    assert exit_code(promote_until, "record", place.settings(), second) == KILLED
    assert place.history()[-1][1] == first.id
    assert place.champion() == second.id
    everyone = open_champion_store(place.settings())
    assert everyone.get_rollback_target(MODE) == first

    everyone.promote(first, "rolled back", "test")
    assert place.history()[-2:] == [(first.id, second.id), (second.id, first.id)]
    adopted = everyone.list_promotions(MODE)[-2]
    assert (adopted.reason, adopted.run_id) == ("adopted: it was served, but not recorded", "run-1")


def test_a_promotion_that_died_with_a_broken_release_does_not_count(
    place: Place, first: Release, tmp_path: Path
) -> None:
    broken, other = flipped(place, tmp_path / "a"), of_another_library(place, tmp_path / "b")
    with asking(place) as load:
        assert exit_code(promote_until, "wait", place.settings(), broken) == KILLED
        assert place.served_uri() == place.uri(broken)
        assert place.champion() == first.id
        with pytest.raises(PromotionError, match=f"{first.id[:12]} is served as before"):
            place.promote(other)
    assert set(load.versions) == {first.id}
    assert place.served_uri() == place.uri(first)


def test_promoting_the_champion_again_applies_a_new_template(
    place: Place, first: Release, second: Release
) -> None:
    pods = place.pods()
    place.promote(first)
    assert place.pods() == pods, "nothing had changed"

    place.upgrade(replicas=2)
    try:
        with asking(place):
            place.promote(first)
        assert len(place.pods()) == 2
        assert place.served_uri() == place.uri(first)
        with asking(place) as load:
            place.promote(second)
        assert set(load.versions[-10:]) == {second.id}, "one of two was missed"
    finally:
        place.upgrade(replicas=1)
        place.promote(first)
