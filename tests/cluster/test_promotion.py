"""Promotion and rollback on a cluster: prediction requests succeed throughout.

The chart is installed without a first release. The tests promote from outside the cluster, with a
ServiceAccount that has the Role of docs/promotion.md and no other.
"""

import json
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from skyclass.errors import ClusterError, PromotionError
from skyclass.promotion.champions import open_champion_store
from skyclass.promotion.cluster import Cluster
from skyclass.promotion.events import Promotion, PromotionLog
from skyclass.promotion.inference_service import RELEASE, RUN, TRAINING_SET
from skyclass.promotion.memory import MemoryLimitError
from skyclass.promotion.rollout import OvertakenError, Rollouts
from skyclass.registry.releases import MANIFEST, ONNX_MODEL, Registry, Release
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode, model_name
from tests.support.cluster import load as cluster_load
from tests.support.cluster.chart import Installation
from tests.support.cluster.kube import Namespace, Shell, eventually, run
from tests.support.cluster.load import Load
from tests.support.cuttable_proxy import CuttableProxy, State, run_proxy
from tests.support.faults.history import History
from tests.support.predictor import Site, publish
from tests.support.processes import SIGKILL_EXIT_CODE, run_in_child

MODE = Mode.PHOTOMETRIC
VALUES = {
    "bootstrap__enabled": False,
    "drift__enabled": False,
    "monitor__enabled": False,
    "predictPage__enabled": False,
    # Here promotion calls the predictors through the API server, which no policy can select.
    "networkPolicy__enabled": False,
}
# Needed outside the cluster only; inside, promotion calls the predictors directly.
PROXY_ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: proxy-to-predictors}
rules:
  - apiGroups: [""]
    resources: [services/proxy]
    resourceNames: ["skyclass-spectroscopic-predictor:80", "skyclass-photometric-predictor:80"]
    verbs: [get]
"""


@dataclass(frozen=True)
class Place:
    """An installation of the chart, with access to its object store."""

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

    def find_champion(self, mode: Mode = MODE) -> str | None:
        found = open_champion_store(self.settings()).get_champion(mode)
        return found.id if found else None

    def list_promotions(self) -> list[tuple[str | None, str]]:
        promotions = open_champion_store(self.settings()).list_promotions(MODE)
        return [(event.from_release, event.to_release) for event in promotions]

    def get_service(self, mode: Mode = MODE) -> dict[str, Any]:
        return dict(self.namespace.get(f"inferenceservice/{model_name(mode)}"))

    def get_served_uri(self) -> str:
        return str(self.get_service()["spec"]["predictor"]["model"]["storageUri"])

    def make_uri(self, release: Release) -> str:
        return f"s3://{self.site.settings.models_bucket}/{release.prefix}"

    def list_pods(self) -> set[str]:
        label = f"serving.kserve.io/inferenceservice={model_name(MODE)}"
        return self.namespace.list_names("pods", label)

    def list_served(self) -> set[str]:
        """Return the releases that respond to some requests from now on."""
        with cluster_load.generate_load(self.shell, MODE, least=20) as load:
            pass
        return set(load.versions)

    def wait_for_pods(self) -> None:
        """Wait until the pods of the previous release have ended, after the promotion itself."""
        replicas = self.get_service()["spec"]["predictor"]["minReplicas"]
        eventually(lambda: len(self.list_pods()) == replicas, 120)

    def upgrade(self, replicas: int) -> None:
        """Change the number of replicas with `helm upgrade`."""
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
    with Namespace.create("promotion") as namespace, pytest.MonkeyPatch.context() as patched:
        installation = Installation(namespace, "skyclass", **VALUES)
        installation.install()
        (provision,) = namespace.list_names("jobs")
        assert namespace.wait_for_job(provision), namespace.read_logs(provision)
        account = home / "promoter.kubeconfig"
        account.write_text(json.dumps(make_kubeconfig(namespace)))
        patched.setenv("KUBECONFIG", str(account))
        shell = installation.start_shell("caller", {"skyclass-client": "true"})
        with installation.connect_to_store() as settings:
            settings = settings.model_copy(
                update={"home": home, "namespace": namespace.name, "promotion_seconds": 240}
            )
            store = ObjectStore(settings)
            site = Site(settings, dict(os.environ), store, Registry(store))
            yield Place(installation, site, shell)


def make_kubeconfig(namespace: Namespace) -> dict[str, Any]:
    """Return a kubeconfig for a new ServiceAccount that may promote."""
    account = f"--serviceaccount={namespace.name}:promoter"
    namespace.kubectl("create", "serviceaccount", "promoter")
    namespace.kubectl("apply", "-f", "-", stdin=PROXY_ROLE)
    for role in ("skyclass-promote", "proxy-to-predictors"):
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
    """Two valid releases."""
    folders = (tmp_path_factory.mktemp("a"), tmp_path_factory.mktemp("b"))
    first, second = (
        publish(place.site, folder, MODE, seed, run_id=f"run-{seed}")
        for seed, folder in enumerate(folders)
    )
    return first, second


@pytest.fixture
def first(place: Place, releases: tuple[Release, Release]) -> Release:
    """A release that is the champion when the test begins."""
    if place.find_champion() != releases[0].id:
        place.promote(releases[0])
    place.wait_for_pods()
    return releases[0]


@pytest.fixture
def second(first: Release, releases: tuple[Release, Release]) -> Release:
    """A release that is not the champion when the test begins."""
    return releases[1]


@contextmanager
def generate_load(place: Place) -> Iterator[Load]:
    """Send requests until no pod of the previous release is left; each must succeed."""
    with cluster_load.generate_load(place.shell, MODE) as load:
        yield load
        place.wait_for_pods()
    assert len(load.versions) > 100


def test_a_promotion_annotates_the_inference_service(place: Place, first: Release) -> None:
    annotations = place.get_service()["metadata"]["annotations"]
    assert annotations[RELEASE] == first.id
    assert annotations[RUN] == "run-0"
    assert annotations[TRAINING_SET] == "s3://skyclass-data/observations@1"
    assert place.get_served_uri() == place.make_uri(first)
    assert place.find_champion() == first.id
    assert place.list_promotions()[-1][1] == first.id


def test_promotion_and_rollback_under_load_fail_no_request(
    place: Place, first: Release, second: Release
) -> None:
    with generate_load(place) as load:
        event = place.promote(second)
    assert (event.from_release, event.to_release) == (first.id, second.id)
    assert load.versions[0] == first.id
    assert place.list_served() == {second.id}
    assert place.find_champion() == second.id

    champion_store = open_champion_store(place.settings())
    with generate_load(place):
        assert champion_store.get_rollback_target(MODE) == first
        champion_store.promote(champion_store.get_rollback_target(MODE), "rolled back", "test")
    assert place.list_served() == {first.id}
    assert place.find_champion() == first.id


def publish_damaged(place: Place, folder: Path) -> Release:
    release = publish(place.site, folder, MODE, seed=2)
    place.damage(release, ONNX_MODEL)
    return release


def publish_incompatible(place: Place, folder: Path) -> Release:
    libraries = {"scikit-learn": "1.5.2"}
    return publish(place.site, folder, MODE, seed=3, onnx=False, libraries=libraries)


def publish_replaced(place: Place, folder: Path) -> Release:
    """Replace all files of a release with those of another valid release."""
    release = publish(place.site, folder / "a", MODE, seed=4)
    other = publish(place.site, folder / "b", MODE, seed=5)
    bucket = place.site.settings.models_bucket
    for name in (*(entry.path for entry in other.manifest.files), MANIFEST):
        data = place.site.store.get(bucket, other.prefix + name)
        place.site.store.put(bucket, release.prefix + name, data, "application/octet-stream")
    return release


@pytest.mark.parametrize(
    ("publish_broken", "message"),
    [
        (publish_damaged, r"model\.onnx: \d+ bytes with digest \w+, expected \d+ bytes"),
        (publish_incompatible, r"pickled with scikit-learn 1\.5\.2, installed is 1\.9\.1"),
        (publish_replaced, r"the manifest or storageUri was modified"),
    ],
)
def test_a_broken_release_is_rejected_and_the_champion_continues_to_serve(
    place: Place,
    first: Release,
    tmp_path: Path,
    publish_broken: Callable[[Place, Path], Release],
    message: str,
) -> None:
    broken = publish_broken(place, tmp_path)
    pods, history = place.list_pods(), place.list_promotions()
    with generate_load(place) as load, pytest.raises(PromotionError, match=message) as error:
        place.promote(broken)
    assert "\n" not in str(error.value)
    assert f"release {first.id[:12]} is served as before" in str(error.value)
    assert set(load.versions) == {first.id}
    assert place.get_served_uri() == place.make_uri(first)
    assert place.find_champion() == first.id
    assert place.list_promotions() == history
    assert pods <= place.list_pods(), "pods of the champion were replaced"


def test_a_release_beyond_the_memory_limit_starts_no_pod(
    place: Place, first: Release, tmp_path: Path
) -> None:
    large = publish(place.site, tmp_path, MODE, seed=8, memory=16 << 30)
    served, pods = place.get_service(), place.list_pods()
    with pytest.raises(MemoryLimitError, match=r"needs 16576 MiB of memory, .* limit is 1024 MiB"):
        place.promote(large)
    assert place.get_service()["metadata"]["generation"] == served["metadata"]["generation"]
    assert place.list_pods() == pods
    assert place.find_champion() == first.id


def test_without_a_champion_a_broken_release_leaves_no_service(
    place: Place, tmp_path: Path
) -> None:
    mode = Mode.SPECTROSCOPIC
    broken = publish(place.site, tmp_path, mode, seed=6)
    place.damage(broken, ONNX_MODEL)
    with pytest.raises(PromotionError, match="it was the first, so nothing is served"):
        place.promote(broken)
    assert model_name(mode) not in place.namespace.list_names("inferenceservices")
    assert place.find_champion(mode) is None


def test_a_promotion_that_times_out_is_reverted(
    place: Place, first: Release, second: Release
) -> None:
    with pytest.raises(PromotionError, match=r"not served after 1 s: (no new )?pod"):
        place.promote(second, promotion_seconds=1)
    assert place.get_served_uri() == place.make_uri(first)
    place.promote(first)
    assert place.find_champion() == first.id


def test_of_two_concurrent_promotions_one_succeeds(
    place: Place, first: Release, second: Release, tmp_path: Path
) -> None:
    third = publish(place.site, tmp_path, MODE, seed=7)
    outcomes: dict[str, Promotion | OvertakenError] = {}
    barrier = threading.Barrier(2)

    def run(release: Release) -> None:
        barrier.wait()
        try:
            outcomes[release.id] = place.promote(release)
        except OvertakenError as error:
            outcomes[release.id] = error

    with generate_load(place):
        threads = [threading.Thread(target=run, args=(each,)) for each in (second, third)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    [winner] = [key for key, found in outcomes.items() if isinstance(found, Promotion)]
    [loser] = [found for found in outcomes.values() if isinstance(found, OvertakenError)]
    assert "another promotion" in str(loser)
    assert place.find_champion() == winner
    assert place.list_promotions()[-1] == (first.id, winner)


def promote_and_die(name: str, settings: Settings, release: Release) -> None:
    """Promote, and kill the process before a step; for a child process."""

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(*{"wait": (Rollouts, "wait"), "record": (PromotionLog, "append")}[name], die)
    open_champion_store(settings).promote(release, "for a test", "test")


def test_a_promotion_that_was_killed_before_it_was_recorded_is_adopted(
    place: Place, first: Release, second: Release
) -> None:
    exit_code = run_in_child(promote_and_die, "record", place.settings(), second)
    assert exit_code == SIGKILL_EXIT_CODE
    assert place.list_promotions()[-1][1] == first.id
    assert place.find_champion() == second.id
    champion_store = open_champion_store(place.settings())
    assert champion_store.get_rollback_target(MODE) == first

    champion_store.promote(first, "rolled back", "test")
    assert place.list_promotions()[-2:] == [(first.id, second.id), (second.id, first.id)]
    adopted = champion_store.list_promotions(MODE)[-2]
    assert (adopted.reason, adopted.run_id) == ("adopted: it was served, but not recorded", "run-1")


def test_a_promotion_that_was_killed_with_a_broken_release_is_ignored(
    place: Place, first: Release, tmp_path: Path
) -> None:
    broken, other = (
        publish_damaged(place, tmp_path / "a"),
        publish_incompatible(place, tmp_path / "b"),
    )
    with generate_load(place) as load:
        exit_code = run_in_child(promote_and_die, "wait", place.settings(), broken)
        assert exit_code == SIGKILL_EXIT_CODE
        assert place.get_served_uri() == place.make_uri(broken)
        assert place.find_champion() == first.id
        with pytest.raises(PromotionError, match=f"{first.id[:12]} is served as before"):
            place.promote(other)
    assert set(load.versions) == {first.id}
    assert place.get_served_uri() == place.make_uri(first)


@pytest.fixture
def api_server(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CuttableProxy]:
    """A proxy between promotions and the API server."""
    config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    cluster = config["clusters"][0]["cluster"]
    address = urlsplit(cluster["server"])
    assert address.hostname
    with run_proxy((address.hostname, address.port or 443)) as proxy:
        cluster |= {
            "server": f"https://127.0.0.1:{proxy.port}",
            "tls-server-name": address.hostname,
        }
        path = tmp_path / "proxied.kubeconfig"
        path.write_text(json.dumps(config))
        monkeypatch.setenv("KUBECONFIG", str(path))
        yield proxy


@pytest.mark.fault("api-server-down")
@pytest.mark.parametrize(
    ("step", "state"),
    [
        ((Cluster, "apply"), State.LOSING_ANSWERS),
        ((Rollouts, "wait"), State.CUT),
    ],
    ids=["after the update, before its answer", "while waiting for the pods"],
)
def test_a_promotion_without_the_api_server_is_completed_by_the_next_one(
    place: Place,
    first: Release,
    second: Release,
    api_server: CuttableProxy,
    step: tuple[type, str],
    state: State,
    monkeypatch: pytest.MonkeyPatch,
    history: History,
) -> None:
    before = len(place.list_promotions())
    original = getattr(*step)

    def go_down_first(*arguments: Any) -> Any:
        api_server.state = state
        return original(*arguments)

    history.attempt(second.id)
    with generate_load(place):
        with monkeypatch.context() as patched, pytest.raises(ClusterError) as error:
            patched.setattr(*step, go_down_first)
            place.promote(second)
        assert re.fullmatch(r"the Kubernetes API at .* is unreachable .*", str(error.value))
        history.fire(f"the connection to the API server was cut {api_server.cut} times")
        assert len(place.list_promotions()) == before
        assert place.get_served_uri() == place.make_uri(second), "nothing was interrupted"

        api_server.state = State.OPEN
        assert place.find_champion() in (first.id, second.id)
        with history.recovery():
            place.promote(second)
        history.acknowledge(second.id)
    assert place.find_champion() == second.id
    changes = [(old, new) for old, new in place.list_promotions()[before:] if old != new]
    assert changes == [(first.id, second.id)]
    history.find(new for _, new in changes)


def test_promoting_the_champion_again_applies_a_new_template(
    place: Place, first: Release, second: Release
) -> None:
    pods = place.list_pods()
    place.promote(first)
    assert place.list_pods() == pods, "pods were replaced without a change"

    place.upgrade(replicas=2)
    try:
        with generate_load(place):
            place.promote(first)
        assert len(place.list_pods()) == 2
        assert place.get_served_uri() == place.make_uri(first)
        with generate_load(place):
            place.promote(second)
        assert place.list_served() == {second.id}, "a pod still serves the previous release"
    finally:
        place.upgrade(replicas=1)
        place.promote(first)
