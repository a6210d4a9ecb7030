"""The whole scoring pipeline in KFP's own local runner, and the package that is made of it."""

import re
from pathlib import Path

import pytest
import yaml
from kfp import local

from pipelines.compile import FOLDER
from pipelines.scoring import CHOICES, PODS, scoring
from skyclass.ingest.job import ingest
from skyclass.promotion.champions import open_champion_store
from skyclass.sources import open_source
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.observations import ObservationsTable
from tests.support.scoring import predictions, publish_tree

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::UserWarning")
def test_a_run_scores_all_parts_and_a_second_run_only_what_is_new(
    store: ObjectStore, table: ObservationsTable, tmp_path: Path
) -> None:
    ingest(open_source("simulated:?rows=300", store), table, store)
    release = publish_tree(store, tmp_path / "release", Mode.SPECTROSCOPIC)
    open_champion_store(store.settings).promote(release, "a test", "test")
    runner = local.SubprocessRunner(use_venv=False)
    for rows in (300, 340):
        local.init(runner, pipeline_root=str(tmp_path / f"run-{rows}"))
        scoring(shards=2)
        found = predictions(store.settings, release)
        assert len(found) == rows
        ingest(open_source("simulated:?rows=40&seed=1", store), table, store)


def test_the_package_loops_over_the_parts_and_is_never_cached() -> None:
    pipeline, platform = yaml.safe_load_all((FOLDER / "scoring.yaml").read_text())
    outer, (inner,) = (
        pipeline["root"]["dag"]["tasks"],
        [each["dag"]["tasks"] for each in pipeline["components"].values() if "dag" in each],
    )
    assert set(outer) == {"plan", "for-loop-1"}
    assert set(inner) == {"score"}
    for task in (outer["plan"], inner["score"]):
        assert not task["cachingOptions"].get("enableCache")
        assert task["retryPolicy"]["maxRetryCount"] == 2
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert set(pods) == {f"exec-{name}" for name in PODS}
    for pod in pods.values():
        assert {each["secretName"] for each in pod["secretAsEnv"]} == {"skyclass-s3-score"}


def test_its_form_has_defaults_and_drop_downs_and_the_page_explains_it() -> None:
    pipeline, _ = yaml.safe_load_all((FOLDER / "scoring.yaml").read_text())
    parameters = pipeline["root"]["inputDefinitions"]["parameters"]
    assert {name: each["literals"] for name, each in parameters.items() if "literals" in each} == (
        CHOICES
    )
    page = (ROOT / "docs/scoring.md").read_text()
    table = dict(re.findall(r"^\| `(\w+)` \| (`.*?` \| .*) \|$", page, re.MULTILINE))
    for name, parameter in parameters.items():
        default, words = parameter["defaultValue"], " ".join(parameter["description"].split())
        shown = int(default) if isinstance(default, float) else default
        assert table[name] == f"`{shown}` | {words}"
