"""Values have the types that their consumers declare, by the rules of KFP's drivers."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler, dsl

from components.plan.component import plan
from skyclass.ingest.job import ingest
from skyclass.orchestration.package import SCORING, TRAINING, Package, load_package
from skyclass.promotion.champions import open_champion_store
from skyclass.sources import open_source
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.observations import ObservationsTable
from tests.support.kfp_types import TypeMismatchError, pass_values
from tests.support.scoring import publish_tree

TRAINING_OUTPUTS: dict[str, dict[str, Any]] = {
    "ingest": {"table_id": "a table", "table_version": 3, "limits_id": "limits"},
    "train": {"winner": "mlp"},
    "evaluate": {"passed": True},
    "publish": {
        "release_id": "0" * 64,
        "promoted": True,
        "verdict": "better",
        "waits_for_approval": False,
    },
}
PARTS = [{"shard": "0/2"}, {"shard": "1/2"}]


def compile_pipeline(pipeline: Any, folder: Path) -> Package:
    file = folder / "toy.yaml"
    compiler.Compiler().compile(pipeline, str(file))
    return Package(yaml.safe_load(file.read_text()), platform={})


def make_loop(returned: Any, consumed: Any, items: list[Any] | None = None) -> Any:
    """Return a pipeline in which `consume` loops over constant items, or those of `produce`."""

    def produce():
        return []

    def consume(part):
        pass

    produce.__annotations__["return"] = returned
    consume.__annotations__["part"] = consumed
    producer, consumer = (
        dsl.component(step, base_image="python:3.11") for step in (produce, consume)
    )

    @dsl.pipeline(name="toy")
    def toy():
        with dsl.ParallelFor(items or producer().output) as part:
            consumer(part=part)

    return toy


def test_training_passes_every_parameter() -> None:
    received = pass_values(load_package(TRAINING), TRAINING_OUTPUTS)
    assert set(received) == {"ingest", "validate", "train", "evaluate", "publish"}
    assert received["validate"][0]["table_version"] == 3
    assert received["train"][0]["candidates"] == "all"


def test_scoring_passes_every_part_that_the_plan_returns(
    store: ObjectStore, table: ObservationsTable, tmp_path: Path
) -> None:
    ingest(open_source("simulated:?rows=300", store), table, store)
    release = publish_tree(store, tmp_path / "release", Mode.PHOTOMETRIC)
    open_champion_store(store.settings).promote(release, "a test", "test")
    planned = plan.python_func("table:", "photometric", "champion", 2)
    received = pass_values(load_package(SCORING), {"plan": {"Output": planned}})
    assert [each["part"] for each in received["score"]] == planned


def test_loop_item_of_another_type_is_detected() -> None:
    package = deepcopy(load_package(SCORING))
    loop = package.pipeline["components"]["comp-for-loop-1"]["inputDefinitions"]["parameters"]
    loop["pipelinechannel--plan-Output-loop-item"]["parameterType"] = "STRING"
    with pytest.raises(TypeMismatchError, match="expect STRUCT, got string"):
        pass_values(package, {"plan": {"Output": PARTS}})


def test_bare_list_of_dicts_cannot_be_looped_over(tmp_path: Path) -> None:
    package = compile_pipeline(make_loop(list, dict), tmp_path)
    with pytest.raises(TypeMismatchError, match='"part" type mismatch: expect STRUCT, got string'):
        pass_values(package, {"produce": {"Output": PARTS}})


@pytest.mark.parametrize(
    ("returned", "consumed", "items", "parts"),
    [
        (list[dict], dict, PARTS, PARTS),
        (list[str], str, ["a", "b"], ["a", "b"]),
        (list[int], int, [1, 2], [1, 2]),
        (list, str, PARTS, [json.dumps(part) for part in PARTS]),
    ],
    ids=str,
)
def test_typed_list_can_be_looped_over(
    returned: Any, consumed: Any, items: list[Any], parts: list[Any], tmp_path: Path
) -> None:
    package = compile_pipeline(make_loop(returned, consumed), tmp_path)
    received = pass_values(package, {"produce": {"Output": items}})
    assert [each["part"] for each in received["consume"]] == parts


def test_constant_items_are_checked_too(tmp_path: Path) -> None:
    package = compile_pipeline(make_loop(list[dict], dict, PARTS), tmp_path)
    assert [each["part"] for each in pass_values(package, {})["consume"]] == PARTS


def test_output_of_another_type_than_declared_is_detected() -> None:
    ingested = {**TRAINING_OUTPUTS["ingest"], "table_version": [3]}
    outputs = {**TRAINING_OUTPUTS, "ingest": ingested}
    with pytest.raises(TypeMismatchError, match="list read as NUMBER_INTEGER"):
        pass_values(load_package(TRAINING), outputs)
