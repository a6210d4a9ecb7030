"""The commands of docs/backup.md: a copy of a live store is whole, and another one serves it."""

import json
import os
import re
import shlex
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skyclass.admin.verify import verify_store
from skyclass.ingest.job import ingest
from skyclass.local.ports import find_free_ports
from skyclass.local.s3_server import Access, EmbeddedS3
from skyclass.monitoring.documents import load_documents
from skyclass.monitoring.verdict import DriftVerdict
from skyclass.promotion.events import PromotionLog
from skyclass.registry.releases import Registry
from skyclass.settings import Settings
from skyclass.sources import open_source
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import KEY, MEASUREMENTS
from skyclass.tables.observations import ObservationsTable
from tests.support.cluster.chart import (
    CHART,
    OBJECTS,
    SEAWEEDFS,
    UNSCHEDULED,
    Installation,
    make_arguments,
)
from tests.support.cluster.kube import ROOT, Namespace, eventually
from tests.support.stored import load_stored

PAGE = (ROOT / "docs/backup.md").read_text()
MODE = Mode.SPECTROSCOPIC
SMALL: dict[str, Any] = {
    **SEAWEEDFS,
    **UNSCHEDULED,
    "monitor__enabled": False,
    "predictPage__enabled": False,
    "predictor__resources__requests__cpu": "20m",  # beside the installation that is copied
    "bootstrap__resources__requests__cpu": "20m",
}


def read_commands(section: str) -> list[str]:
    """Return the blocks of commands of a section of the page."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


CONNECT, SUSPEND, COPY, RESUME = read_commands("Back up")
(VERIFY,) = read_commands("Verify")
INSTALL, COPY_BACK, SERVE = read_commands("Restore")


def run_commands(commands: str, folder: Path, variables: dict[str, str]) -> str:
    """Run commands of the page, with rclone and skyclass in the path, and return their output."""
    inherited = dict(os.environ)
    inherited.pop("AWS_CA_BUNDLE", None)  # rclone 1.60 does not start with it
    path = f"{ROOT / '.venv/bin'}:{inherited['PATH']}"
    completed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"trap 'kill $(jobs -p) || true' EXIT\n{commands}"],  # noqa: S607
        cwd=folder,
        env={**inherited, "PATH": path, **variables},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert completed.returncode == 0, f"{commands}\n{completed.stdout}{completed.stderr}"
    return completed.stdout


def make_remote(name: str, access: Access) -> dict[str, str]:
    """Return the variables that name a store for rclone."""
    return {
        f"RCLONE_CONFIG_{name}_TYPE": "s3",
        f"RCLONE_CONFIG_{name}_PROVIDER": "Other",
        f"RCLONE_CONFIG_{name}_ENDPOINT": access.endpoint_url,
        f"RCLONE_CONFIG_{name}_ACCESS_KEY_ID": access.access_key_id,
        f"RCLONE_CONFIG_{name}_SECRET_ACCESS_KEY": access.secret_access_key,
    }


def open_store(access: Access) -> ObjectStore:
    return ObjectStore(Settings(**access.environment()))


@pytest.fixture
def backup(tmp_path: Path) -> Iterator[Access]:
    """Another S3 service."""
    with EmbeddedS3(tmp_path / "backup") as access:
        yield access


@pytest.fixture
def maintained(installed: Installation) -> Iterator[Installation]:
    """The installation, whose maintenance is not suspended after the test, even if it fails."""
    yield installed
    resumed = '{"spec": {"suspend": false}}'
    installed.namespace.kubectl("patch", f"cronjob/{installed.name}-maintain", "--patch", resumed)


def test_a_copy_of_a_store_in_use_is_whole_at_any_time(tmp_path: Path, backup: Access) -> None:
    copy = open_store(backup)
    copy.make_buckets()
    first, contents, pointers = re.split(r"(?<=^done\n)", COPY, flags=re.MULTILINE)[:3]
    with EmbeddedS3(tmp_path / "live") as live:
        store, stop = open_store(live), threading.Event()
        store.make_buckets()
        load_stored(store)
        table = ObservationsTable(store.settings)

        def write() -> None:
            seed = 0
            while not stop.is_set():
                seed += 1
                ingest(open_source(f"simulated:?rows=20&seed={seed}", store), table, store)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            variables = make_remote("LIVE", live) | make_remote("BACKUP", backup)
            for commands in (first, contents, pointers):

                def is_overtaken(commands: str = commands) -> bool:
                    """Run the commands, and return whether something was written meanwhile."""
                    before = table.version()
                    run_commands(commands, tmp_path, variables)
                    return table.version() > before

                eventually(is_overtaken, 120, interval=0)
                assert verify_store(copy).problems == ()
        finally:
            stop.set()
            writer.join()
        assert len(Registry(copy).list_releases(MODE)) == len(Registry(store).list_releases(MODE))
        assert 0 < ObservationsTable(copy.settings).version() < table.version()


def test_another_installation_serves_the_backup(
    maintained: Installation, tmp_path: Path, backup: Access
) -> None:
    evaluate_window(maintained)
    truth = read_state(maintained)
    with Namespace.create("restored") as namespace:
        names = make_names(maintained, namespace, backup)
        keys = {"BACKUP_KEY": backup.access_key_id, "BACKUP_SECRET": backup.secret_access_key}
        install = INSTALL[INSTALL.index("helm install") :]  # the namespace has been created

        started = time.monotonic()
        run_commands(names(CONNECT + SUSPEND + COPY + RESUME + VERIFY), tmp_path, keys)
        copied = time.monotonic()
        run_commands(names(install + COPY_BACK + SERVE), tmp_path, make_remote("BACKUP", backup))
        print(f"copied in {copied - started:.0f} s, restored in {time.monotonic() - copied:.0f} s")  # noqa: T201

        found = read_state(Installation(namespace, maintained.name, **SEAWEEDFS))
    for mode, promotions in truth.pop("promotions").items():
        *earlier, newest = found["promotions"][mode]
        assert earlier == promotions
        assert newest.reason.startswith("restored: it was promoted at ")
    del found["promotions"]
    assert found == truth


def make_names(
    installed: Installation, restored: Namespace, backup: Access
) -> Callable[[str], str]:
    """Return a function that replaces the names of the page by those of the test."""
    live_port, restored_port = find_free_ports(2)
    arguments = shlex.join(make_arguments(SMALL))
    replacements = {
        "-n skyclass": f"-n {installed.namespace.name}",
        "-n restored": f"-n {restored.name}",
        "9000:9000": f"{live_port}:9000",
        "127.0.0.1:9000": f"127.0.0.1:{live_port}",
        "9001:9000": f"{restored_port}:9000",
        "127.0.0.1:9001": f"127.0.0.1:{restored_port}",
        "https://s3.backup.example.org": backup.endpoint_url,
        "install skyclass charts/skyclass": f"install skyclass charts/skyclass {arguments}",
        "charts/skyclass": str(CHART),
    }

    def replace(commands: str) -> str:
        for name, other in replacements.items():
            commands = commands.replace(name, other)
        return commands

    return replace


def evaluate_window(installed: Installation) -> None:
    """Let the drift job store a verdict, so that there is a history."""
    bounds = ("--start", "2026-05-01", "--end", "2026-05-02")
    job = installed.namespace.start_cron_job(
        f"{installed.name}-drift-{MODE}", "drift", "--mode", str(MODE), *bounds
    )
    assert installed.namespace.wait_for_job(job), installed.namespace.read_logs(job)


def read_state(installation: Installation) -> dict[str, Any]:
    """Return what an installation serves and stores, by mode."""
    with installation.connect_to_store() as settings:
        store, table = ObjectStore(settings), ObservationsTable(settings)
        registry, log = Registry(store), PromotionLog(store)
        champions = {mode: registry.read(mode, installation.get_release(mode)) for mode in Mode}
        versions = {mode: each.manifest.training_set.version for mode, each in champions.items()}
        columns = [*KEY, *MEASUREMENTS, "class"]
        return {
            "champions": champions,
            "predictions": {mode: predict(installation, mode) for mode in Mode},
            "training sets": {
                mode: table.read(version, columns).to_csv() for mode, version in versions.items()
            },
            "verdicts": {mode: load_documents(store, DriftVerdict, mode) for mode in Mode},
            "promotions": {mode: log.list_promotions(mode) for mode in Mode},
        }


def predict(installation: Installation, mode: Mode) -> Any:
    """Return the response to a fixed request, without what identifies the request."""
    name, body = f"skyclass-{mode}", json.dumps({"instances": OBJECTS[mode]}).encode()
    with installation.namespace.forward(f"service/{name}-predictor", 80) as url:
        request = urllib.request.Request(  # noqa: S310 - of the tunnel
            f"{url}/v1/models/{name}:predict", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
            found = json.load(response)
    return found["model_version"], found["predictions"]
