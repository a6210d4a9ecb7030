"""The committed packages: what KFP accepts, what the run form shows, and where they differ."""

import ast
import inspect
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp import components as kfp_components
from kfp.compiler import Compiler
from kfp.compiler.compiler_utils import KubernetesManifestOptions
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec

from components.evaluate.component import evaluate
from components.ingest.component import ingest
from components.plan.component import plan
from components.publish.component import publish
from components.score.component import score
from components.train.component import train
from components.validate.component import validate
from pipelines import scoring, training
from pipelines.compile import FOLDER, write_packages
from skyclass.errors import SkyclassError
from skyclass.orchestration.package import (
    SCORING,
    TRAINING,
    Package,
    PackageNames,
    load_package,
)
from skyclass.settings import load

ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = [ingest, validate, train, evaluate, publish, plan, score]
PIPELINES = {TRAINING: training, SCORING: scoring}
PAGES = {TRAINING: "docs/kfp.md", SCORING: "docs/scoring.md"}

DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
DEFAULT_TYPES: dict[str, Any] = {"STRING": str, "NUMBER_INTEGER": float}
"""In KFP's intermediate representation all numbers are floats."""

NAMES = {
    "SKYCLASS_IMAGE": "registry.example/sky/jobs@sha256:" + "0" * 64,
    "SKYCLASS_S3_SECRET": "shared-keys",
    "SKYCLASS_SIGNING_SECRET": "our-key",
    "SKYCLASS_NOTIFICATION_SECRET": "our-channels",
    "SKYCLASS_SETTINGS": "our-settings",
    "SKYCLASS_EXPECTATIONS_CONFIG_MAP": "our-limits",
    "SKYCLASS_KFP_NAMESPACE": "our-kfp",
}


@pytest.fixture(params=PIPELINES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def package(name: str) -> Package:
    return Package.from_text((FOLDER / f"{name}.yaml").read_text())


@pytest.fixture
def training_package() -> Package:
    return Package.from_text((FOLDER / "training.yaml").read_text())


@pytest.fixture(autouse=True)
def default_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in NAMES:
        monkeypatch.delenv(variable, raising=False)


def compile_into(folder: Path) -> dict[str, str]:
    """Files that `python -m pipelines.compile FOLDER` writes."""
    write_packages(folder, load(PackageNames))
    return {path.name: path.read_text() for path in folder.iterdir()}


def container(package: Package, executor: str) -> Any:
    return package.pipeline["deploymentSpec"]["executors"][executor]["container"]


def inputs(package: Package) -> Any:
    return package.pipeline["root"]["inputDefinitions"]["parameters"]


def test_committed_packages_are_up_to_date(tmp_path: Path) -> None:
    committed = {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert compile_into(tmp_path) == committed, "stale: run `make compile`"


def test_library_loads_the_committed_package(name: str) -> None:
    assert load_package(name).text == (FOLDER / f"{name}.yaml").read_text()


def test_compiler_and_library_substitute_the_same_names(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in NAMES.items():
        monkeypatch.setenv(variable, value)
    written = compile_into(tmp_path)
    package = load_package(name)
    assert package.text == written[f"{name}.yaml"]
    executors = package.pipeline["deploymentSpec"]["executors"]
    assert {container(package, each)["image"] for each in executors} == {NAMES["SKYCLASS_IMAGE"]}
    optional = ("SKYCLASS_SIGNING_SECRET", "SKYCLASS_NOTIFICATION_SECRET")
    others = {NAMES[each] for each in optional} if name == TRAINING else set()
    assert package.required_secrets() == {NAMES["SKYCLASS_S3_SECRET"]} | others
    assert package.required_config_maps() == {NAMES["SKYCLASS_SETTINGS"]}
    assert "skyclass-expectations:" not in package.text
    assert "skyclass-s" not in package.text.replace("skyclass-scoring", "")
    objects = yaml.safe_load_all(written[f"{name}-objects.yaml"])
    assert {each["metadata"]["namespace"] for each in objects} == {"our-kfp"}


def test_secret_template_keeps_one_secret_per_role(
    training_package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYCLASS_S3_SECRET", "sky-{role}-keys")
    renamed = load_package(TRAINING)
    assert renamed.required_secrets() == {
        "sky-ingest-keys",
        "sky-train-keys",
        "sky-publish-keys",
        "skyclass-signing",
        "skyclass-notifications",
    }
    assert renamed.version != training_package.version


@pytest.mark.parametrize("image", ["skyclass-jobs:latest", "registry.example:5000/skyclass-jobs"])
def test_image_without_immutable_tag_is_rejected(
    image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYCLASS_IMAGE", image)
    with pytest.raises(SkyclassError, match="SKYCLASS_IMAGE is malformed"):
        load_package(TRAINING)


@pytest.mark.parametrize("image", ["here/sky:0.1.0", "here:5000/sky@sha256:" + "a" * 64])
def test_image_with_immutable_tag_is_accepted(image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYCLASS_IMAGE", image)
    assert container(load_package(TRAINING), "exec-train")["image"] == image


def test_kfp_loads_the_package(name: str, package: Package) -> None:
    loaded = kfp_components.load_component_from_file(str(FOLDER / f"{name}.yaml"))
    assert loaded.name == package.name == PIPELINES[name].NAME


def test_package_matches_the_definitions_of_kfp(package: Package) -> None:
    json_format.ParseDict(package.pipeline, PipelineSpec())
    for pod in package.pods.values():
        json_format.ParseDict(pod, KubernetesExecutorConfig())


def test_all_references_resolve_and_nothing_is_unused(package: Package) -> None:
    """KFP accepts dangling references, and its run form then responds with 500."""
    components = package.pipeline["components"]
    tasks = {name: task for graph in package.task_graphs for name, task in graph.items()}
    labels = {each["executorLabel"] for each in components.values() if "dag" not in each}
    assert {task["componentRef"]["name"] for task in tasks.values()} == set(components)
    assert labels == set(package.pipeline["deploymentSpec"]["executors"]) == set(package.pods)
    for graph in package.task_graphs:
        for task in graph.values():
            assert set(task.get("dependentTasks", ())) <= set(graph)


def test_names_are_valid_in_kubernetes(package: Package) -> None:
    tasks = [name for graph in package.task_graphs for name in graph]
    for each in (package.name, package.version, *tasks):
        assert DNS_LABEL.fullmatch(each), each


def test_version_is_named_after_its_content(name: str, package: Package) -> None:
    pipeline, version = yaml.safe_load_all((FOLDER / f"{name}-objects.yaml").read_text())
    assert version["spec"]["pipelineName"] == pipeline["metadata"]["name"]
    assert re.fullmatch(rf"skyclass-{name}-[0-9a-f]{{10}}", version["metadata"]["name"])
    assert version["metadata"]["name"] == package.version
    assert package == Package(version["spec"]["pipelineSpec"], version["spec"]["platformSpec"])


def test_objects_have_the_fields_of_the_sdk(tmp_path: Path) -> None:
    Compiler().compile(
        training.training,
        str(tmp_path / "objects.yaml"),
        kubernetes_manifest_format=True,
        kubernetes_manifest_options=KubernetesManifestOptions(
            pipeline_name=training.NAME, namespace="kubeflow", include_pipeline_manifest=True
        ),
    )
    fields = [
        [(found["apiVersion"], found["kind"], *sorted(found["metadata"]), *sorted(found["spec"]))
         for found in yaml.safe_load_all(file.read_text())]
        for file in (tmp_path / "objects.yaml", FOLDER / "training-objects.yaml")
    ]  # fmt: skip
    assert fields[0] == fields[1]


def test_run_form_has_at_most_eight_fields_each_with_a_valid_default(
    name: str, package: Package
) -> None:
    signature = inspect.signature(getattr(PIPELINES[name], name).pipeline_func)
    assert list(signature.parameters) == sorted(inputs(package)), "KFP's form sorts by name"
    assert len(inputs(package)) <= 8
    for parameter, spec in inputs(package).items():
        default = spec.get("defaultValue")
        assert default not in (None, ""), parameter
        assert isinstance(default, DEFAULT_TYPES[spec["parameterType"]]), parameter


def test_parameters_with_choices_are_drop_downs(name: str, package: Package) -> None:
    choices = {
        parameter: spec["literals"] for parameter, spec in inputs(package).items()
        if "literals" in spec
    }  # fmt: skip
    assert choices == PIPELINES[name].CHOICES
    for parameter, literals in choices.items():
        assert inputs(package)[parameter]["defaultValue"] in literals


def test_training_is_a_straight_line(training_package: Package) -> None:
    (tasks,) = training_package.task_graphs
    assert set(tasks) == {"ingest", "validate", "train", "evaluate", "publish"}
    assert not any("triggerPolicy" in task or "iterator" in str(task) for task in tasks.values())


def test_outputs_are_named(package: Package) -> None:
    """KFP shows an output without a name as `Output`; the local runner loops only over such."""
    outputs = {
        (component["executorLabel"], output)
        for component in package.pipeline["components"].values()
        for output in component.get("outputDefinitions", {}).get("parameters", {})
        if "executorLabel" in component
    }
    assert {label for label, output in outputs if output == "Output"} <= {"exec-plan"}


def test_run_of_training_shows_fifteen_boxes(training_package: Package) -> None:
    components = training_package.pipeline["components"].values()
    outputs = [
        component.get("outputDefinitions", {}).get("artifacts", {}) for component in components
    ]
    assert len(outputs) + sum(map(len, outputs)) == 15


def test_scoring_loops_over_its_parts() -> None:
    loop, outer = sorted(load_package(SCORING).task_graphs, key=len)
    assert (set(outer), set(loop)) == ({"plan", "for-loop-1"}, {"score"})


def test_only_steps_without_side_effects_or_hidden_inputs_are_cached(
    name: str, package: Package
) -> None:
    cached = {
        task
        for graph in package.task_graphs
        for task, spec in graph.items()
        if spec.get("cachingOptions", {}).get("enableCache")
    }
    assert cached == ({"validate", "train"} if name == TRAINING else set())


def test_lost_pods_are_retried(package: Package) -> None:
    for graph in package.task_graphs:
        for name, task in graph.items():
            assert ("retryPolicy" in task) == ("parameterIterator" not in task), name


def test_every_step_runs_the_one_image_without_root_and_installs_nothing(package: Package) -> None:
    for name, pod in package.pods.items():
        assert container(package, name)["image"] == "localhost/skyclass-jobs:0.2.0"
        assert "pip install" not in str(container(package, name)["command"])
        assert pod["securityContext"]["runAsNonRoot"] is True


def test_scoring_reads_the_keys_of_its_role() -> None:
    assert load_package(SCORING).required_secrets() == {"skyclass-s3-score"}


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_component_documents_every_argument(component: Any) -> None:
    function = component.python_func
    documented = re.findall(r"^    (\w+): ", inspect.getdoc(function) or "", re.MULTILINE)
    assert documented == list(inspect.signature(function).parameters)


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_component_is_a_thin_wrapper(component: Any) -> None:
    """At module level only KFP and the standard library; at most 30 lines of body."""
    source = Path(inspect.getfile(component.python_func)).read_text()
    tree = ast.parse(source)
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            name = (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name) or ""
            top = name.split(".")[0]
            assert top in ("kfp", "components") or top in sys.stdlib_module_names, name
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    first = function.body[1]  # after the docstring
    assert (function.end_lineno or 0) - first.lineno + 1 <= 30


def test_readme_lists_every_training_parameter() -> None:
    table = re.findall(r"^\| `(\w+)` \| `(.*?)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    parameters = inspect.signature(training.training.pipeline_func).parameters
    assert table == [(name, str(parameter.default)) for name, parameter in parameters.items()]


def test_page_describes_every_parameter_as_the_package_does(name: str, package: Package) -> None:
    page = (ROOT / PAGES[name]).read_text()
    table = dict(re.findall(r"^\| `(\w+)` \| (`.*?` \| .*) \|$", page, re.MULTILINE))
    for parameter, spec in inputs(package).items():
        default, words = spec["defaultValue"], " ".join(spec["description"].split())
        shown = int(default) if isinstance(default, float) else default
        assert table[parameter] == f"`{shown}` | {words}"


def test_page_lists_every_variable_of_the_compiler() -> None:
    page = (ROOT / "docs/kfp.md").read_text()
    assert set(re.findall(r"^\| `(SKYCLASS_\w+)` \|", page, re.MULTILINE)) == set(NAMES)
