"""Promotion on a real cluster: the predictor's answers change, or stay; they never stop.

Everything runs as an account with the Role of docs/promotion.md and no other.
"""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any
from uuid import uuid4

import pytest
import urllib3
import yaml
from minio import Minio

from skyclass.errors import PromotionError
from skyclass.features import INPUTS, Mode
from skyclass.settings import Settings
from skyclass.store.champions import champions
from skyclass.store.documents import Promotion
from skyclass.store.inference_service import RELEASE, RUN, TRAINING_SET, service_name
from skyclass.store.releases import MANIFEST, ONNX_MODEL, Registry, Release
from skyclass.store.rollout import OvertakenError, Rollouts
from skyclass.store.s3 import ObjectStore
from tests.contract.support import Site, eventually, publish, simulated
from tests.faults.children import KILLED, exit_code

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(900)]

MODE = Mode.PHOTOMETRIC
OBJECTS = Path(__file__).with_name("promotion.yaml")
CLUSTER_HOME = Path(os.environ.get("CLUSTER_HOME", Path.home() / ".cache/cluster"))
IMAGE = os.environ.get("SKYCLASS_PREDICTOR_IMAGE", "localhost/skyclass-predictor:0.1.0")
INSTANCES = simulated(3)[list(INPUTS[MODE])].to_numpy().tolist()


ADMIN = os.environ.get("KUBECONFIG", "")
KUBECTL = shutil.which("kubectl") or str(CLUSTER_HOME / "cache/bin/kubectl")


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    """Run kubectl as the cluster's administrator."""
    done = subprocess.run(
        [KUBECTL, "--kubeconfig", ADMIN, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True)
class Place:
    """A namespace with what the chart would install, and buckets, of one test module's own."""

    namespace: str
    site: Site

    def settings(self, **changes: Any) -> Settings:
        return self.site.settings.model_copy(update=changes)

    def promote(self, release: Release, **changes: Any) -> Promotion:
        return champions(self.settings(**changes)).promote(release, "for a test", "test")

    def champion(self, mode: Mode = MODE) -> str | None:
        found = champions(self.settings()).champion(mode)
        return found.id if found else None

    def history(self) -> list[tuple[str | None, str]]:
        promotions = champions(self.settings()).promotions(MODE)
        return [(event.from_release, event.to_release) for event in promotions]

    def service(self, mode: Mode = MODE) -> dict[str, Any]:
        named = f"inferenceservice/{service_name(mode)}"
        text = kubectl("-n", self.namespace, "get", named, "--ignore-not-found", "-o", "json")
        return dict(json.loads(text)) if text else {}

    def served_uri(self) -> str:
        return str(self.service()["spec"]["predictor"]["model"]["storageUri"])

    def uri(self, release: Release) -> str:
        return f"s3://{self.site.settings.models_bucket}/{release.prefix}"

    def pods(self) -> set[str]:
        label = f"serving.kserve.io/inferenceservice={service_name(MODE)}"
        return set(kubectl("-n", self.namespace, "get", "pods", "-l", label, "-o", "name").split())

    def offer_templates(self, replicas: int = 1) -> None:
        """Do what the chart does when it is installed or upgraded."""
        data = {f"{mode}.yaml": yaml.safe_dump(template(mode, replicas)) for mode in Mode}
        manifest = {
            **{"apiVersion": "v1", "kind": "ConfigMap", "data": data},
            "metadata": {"name": "templates", "namespace": self.namespace},
        }
        kubectl("apply", "-f", "-", stdin=json.dumps(manifest))

    def damage(self, release: Release, name: str) -> None:
        bucket, key = self.site.settings.models_bucket, release.prefix + name
        data = self.site.store.get(bucket, key)
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        self.site.store.put(bucket, key, flipped, "application/octet-stream")


def template(mode: Mode, replicas: int) -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": service_name(mode),
            "annotations": {"serving.kserve.io/deploymentMode": "Standard"},
        },
        "spec": {
            "predictor": {
                "serviceAccountName": "predictor",
                "minReplicas": replicas,
                "maxReplicas": replicas,
                "deploymentStrategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
                },
                "securityContext": {
                    "runAsNonRoot": True,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "model": {
                    "modelFormat": {"name": "skyclass"},
                    "runtime": "skyclass",
                    "protocolVersion": "v2",
                    "resources": {
                        "requests": {"cpu": "50m", "memory": "192Mi"},
                        "limits": {"cpu": "1", "memory": "512Mi"},
                    },
                    "env": [{"name": "SKYCLASS_MODE", "value": str(mode)}],
                },
            }
        },
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if not ADMIN:
        pytest.skip("KUBECONFIG is not set: bring a cluster with KServe up and name it")
    if not (CLUSTER_HOME / "minio.env").exists():
        pytest.skip(f"there is no {CLUSTER_HOME}/minio.env, which names the cluster's MinIO")
    home = tmp_path_factory.mktemp("home")
    lines = (CLUSTER_HOME / "minio.env").read_text().split()
    minio = dict(line.removeprefix("export ").split("=", 1) for line in lines if "=" in line)
    name = f"promo-{uuid4().hex[:8]}"
    settings = Settings(
        AWS_ENDPOINT_URL=minio["S3_ENDPOINT"],
        AWS_ACCESS_KEY_ID=minio["AWS_ACCESS_KEY_ID"],
        AWS_SECRET_ACCESS_KEY=minio["AWS_SECRET_ACCESS_KEY"],
        **{f"{kind}_bucket": f"{name}-{kind}" for kind in ("data", "models", "logs", "reports")},
        home=home,
        namespace=name,
        inference_service_templates="templates",
        promotion_seconds=240,
    )
    store = ObjectStore(settings)
    store.make_buckets()
    objects = Template(OBJECTS.read_text()).substitute(
        namespace=name,
        endpoint=minio["S3_CLUSTER_ENDPOINT"].removeprefix("http://"),
        access_key=minio["AWS_ACCESS_KEY_ID"],
        secret_key=minio["AWS_SECRET_ACCESS_KEY"],
        image=IMAGE,
        logs_bucket=settings.logs_bucket,
    )
    kubectl("apply", "-f", "-", stdin=objects)
    place = Place(name, Site(settings, dict(os.environ), store, Registry(store)))
    place.offer_templates()
    account = home / "promoter.kubeconfig"
    account.write_text(json.dumps(kubeconfig_of("promoter", name)))
    patched = pytest.MonkeyPatch()
    patched.setenv("KUBECONFIG", str(account))
    try:
        yield place
    finally:
        patched.undo()
        kubectl("delete", "namespace", name, "--wait=false")
        remove_buckets(settings)


def remove_buckets(settings: Settings) -> None:
    """The cluster's MinIO outlives the test."""
    client = Minio(
        endpoint=settings.endpoint_url.removeprefix("http://"),
        access_key=settings.access_key_id,
        secret_key=settings.secret_access_key.get_secret_value(),
        secure=False,
    )
    for bucket in settings.buckets:
        for item in client.list_objects(bucket_name=bucket, recursive=True):
            client.remove_object(bucket_name=bucket, object_name=item.object_name)
        client.remove_bucket(bucket_name=bucket)


def kubeconfig_of(account: str, namespace: str) -> dict[str, Any]:
    """The administrator's way to the cluster with another's token."""
    admin = json.loads(kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    token = kubectl("-n", namespace, "create", "token", account, "--duration", "2h")
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": admin["clusters"][0]["cluster"]}],
        "users": [{"name": "u", "user": {"token": token.strip()}}],
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
    eventually(lambda: len(place.pods()) == 1, 60)  # the old ones may answer until they end
    return releases[0]


@pytest.fixture
def second(first: Release, releases: tuple[Release, Release]) -> Release:
    """Another one, which is not."""
    return releases[1]


class Stream:
    """Requests that never pause, each answered or not."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v1/models/{service_name(MODE)}:predict"
        self._ended = threading.Event()
        self.versions: list[str] = []
        self.failed: list[str] = []
        # One caller as a browser has it, one as a proxy: with a connection each, and with one.
        self._threads = [
            threading.Thread(target=self._ask, args=(headers,))
            for headers in ({"Connection": "close"}, {})
        ]

    def __enter__(self) -> "Stream":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, headers: dict[str, str]) -> None:
        http = urllib3.PoolManager(retries=False, timeout=10)
        body = json.dumps({"instances": INSTANCES})
        headers = {"Content-Type": "application/json", **headers}
        while not self._ended.is_set():
            try:
                answer = http.request("POST", self._url, body=body, headers=headers)
                if answer.status == 200:
                    self.versions.append(answer.json()["model_version"])
                else:
                    self.failed.append(f"{answer.status} {answer.data!r}")
            except urllib3.exceptions.HTTPError as error:
                self.failed.append(repr(error))
            time.sleep(0.01)


@contextmanager
def asking(place: Place) -> Iterator[Stream]:
    """Ask all the time, and require an answer to everything."""
    named = f"service/{service_name(MODE)}-predictor"
    where = ("-o", "jsonpath={.spec.clusterIP}")
    with Stream("http://" + kubectl("-n", place.namespace, "get", named, *where)) as stream:
        yield stream
        time.sleep(8)  # the last old pods end after the promotion does
    assert stream.failed == []
    assert len(stream.versions) > 100


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
    with asking(place) as stream:
        event = place.promote(second)
    assert (event.from_release, event.to_release) == (first.id, second.id)
    assert stream.versions[0] == first.id
    assert set(stream.versions[-10:]) == {second.id}
    assert place.champion() == second.id

    everyone = champions(place.settings())
    with asking(place) as stream:
        assert everyone.predecessor(MODE) == first
        everyone.promote(everyone.predecessor(MODE), "rolled back", "test")
    assert set(stream.versions[-10:]) == {first.id}
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
        (flipped, r"model\.onnx: \d+ bytes with digest \w+ where the manifest says"),
        (of_another_library, r"pickled by scikit-learn 1\.5\.2, here runs 1\.9\.1"),
        (forged, r"its manifest has been changed, or storageUri was"),
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
    with asking(place) as stream, pytest.raises(PromotionError, match=words) as error:
        place.promote(broken)
    assert "\n" not in str(error.value)
    assert f"release {first.id[:12]} is served as before" in str(error.value)
    assert set(stream.versions) == {first.id}
    assert place.served_uri() == place.uri(first)
    assert place.champion() == first.id
    assert place.history() == history
    assert pods <= place.pods(), "the pods that answered were replaced"


def test_without_a_champion_a_broken_release_leaves_nothing(place: Place, tmp_path: Path) -> None:
    mode = Mode.SPECTROSCOPIC
    broken = publish(place.site, tmp_path, mode, seed=6)
    place.damage(broken, ONNX_MODEL)
    with pytest.raises(PromotionError, match="there was none before it, so nothing is served"):
        place.promote(broken)
    assert place.service(mode) == {}
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

    setattr(*{"wait": (Rollouts, "wait"), "record": (Registry, "record")}[name], die)
    champions(settings).promote(release, "for a test", "test")


def test_a_promotion_that_died_before_it_was_recorded_is_adopted(
    place: Place, first: Release, second: Release
) -> None:
    assert exit_code(promote_until, "record", place.settings(), second) == KILLED
    assert place.history()[-1][1] == first.id
    assert place.champion() == second.id
    everyone = champions(place.settings())
    assert everyone.predecessor(MODE) == first

    everyone.promote(first, "rolled back", "test")
    assert place.history()[-2:] == [(first.id, second.id), (second.id, first.id)]
    adopted = everyone.promotions(MODE)[-2]
    assert (adopted.reason, adopted.run_id) == ("adopted: it was served, but not recorded", "run-1")


def test_a_promotion_that_died_with_a_broken_release_does_not_count(
    place: Place, first: Release, tmp_path: Path
) -> None:
    broken, other = flipped(place, tmp_path / "a"), of_another_library(place, tmp_path / "b")
    with asking(place) as stream:
        assert exit_code(promote_until, "wait", place.settings(), broken) == KILLED
        assert place.served_uri() == place.uri(broken)
        assert place.champion() == first.id
        with pytest.raises(PromotionError, match=f"{first.id[:12]} is served as before"):
            place.promote(other)
    assert set(stream.versions) == {first.id}
    assert place.served_uri() == place.uri(first)


def test_promoting_the_champion_again_applies_a_new_template(place: Place, first: Release) -> None:
    pods = place.pods()
    place.promote(first)
    assert place.pods() == pods, "nothing had changed"
    with two_replicas(place, first):
        assert place.served_uri() == place.uri(first)


def test_with_two_replicas_neither_is_missed(place: Place, first: Release, second: Release) -> None:
    with two_replicas(place, first):
        with asking(place) as stream:
            place.promote(second)
        assert set(stream.versions[-10:]) == {second.id}
        assert len(place.pods()) == 2


@contextmanager
def two_replicas(place: Place, first: Release) -> Iterator[None]:
    """As after a `helm upgrade` that asks for another replica, and a promotion that applies it."""
    place.offer_templates(replicas=2)
    try:
        with asking(place):
            place.promote(first)
        eventually(lambda: len(place.pods()) == 2, 60)
        yield
    finally:
        place.offer_templates()
        place.promote(first)
