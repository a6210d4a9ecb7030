"""The compiled packages, and what a person sees of them in KFP's run form."""

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import components as kfp_components
from kfp.compiler import Compiler
from kfp.compiler.compiler_utils import KubernetesManifestOptions

from components.evaluate.component import evaluate
from components.ingest.component import ingest
from components.plan.component import plan
from components.publish.component import publish
from components.score.component import score
from components.train.component import train
from components.validate.component import validate
from pipelines import training
from pipelines.compile import FOLDER

ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = [ingest, validate, train, evaluate, publish, plan, score]


SETTINGS = {
    "SKYCLASS_IMAGE": "registry.example/sky/jobs@sha256:" + "0" * 64,
    "SKYCLASS_S3_SECRET": "keys-of-everybody",
    "SKYCLASS_SIGNING_SECRET": "our-key",
    "SKYCLASS_SETTINGS": "our-settings",
    "SKYCLASS_KFP_NAMESPACE": "our-kfp",
}


@pytest.fixture(scope="module")
def package() -> dict[str, Any]:
    return next(yaml.safe_load_all((FOLDER / "training.yaml").read_text()))


def compiled(folder: Path, **settings: str) -> dict[str, str]:
    """What the compiler writes where nothing but these settings is set."""
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    command = [sys.executable, "-m", "pipelines.compile", str(folder)]
    subprocess.run(command, cwd=ROOT, env={**environment, **settings}, check=True)
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_committed_packages_are_those_of_the_source(tmp_path: Path) -> None:
    committed = {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert compiled(tmp_path) == committed, "stale: run `make compile`"


def test_image_secret_settings_and_namespace_are_chosen_when_it_is_compiled(tmp_path: Path) -> None:
    written = compiled(tmp_path, **SETTINGS)
    pipeline, platform = yaml.safe_load_all(written["training.yaml"])
    containers = [each["container"] for each in pipeline["deploymentSpec"]["executors"].values()]
    assert {container["image"] for container in containers} == {SETTINGS["SKYCLASS_IMAGE"]}
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert {each["secretName"] for pod in pods.values() for each in pod.get("secretAsEnv", ())} == {
        "keys-of-everybody"
    }
    assert {
        each["configMapName"] for pod in pods.values() for each in pod.get("configMapAsEnv", ())
    } == {"our-settings"}
    mounted = {name: pod["secretAsVolume"] for name, pod in pods.items() if "secretAsVolume" in pod}
    assert {name: [each["secretName"] for each in pod] for name, pod in mounted.items()} == {
        "exec-publish": ["our-key"]
    }
    objects = list(yaml.safe_load_all(written["training-objects.yaml"]))
    assert {each["metadata"]["namespace"] for each in objects} == {"our-kfp"}


def test_the_package_with_its_drop_downs_still_loads() -> None:
    loaded = kfp_components.load_component_from_file(str(FOLDER / "training.yaml"))
    assert loaded.name == training.NAME


def test_the_version_is_named_after_its_content() -> None:
    pipeline, version = yaml.safe_load_all((FOLDER / "training-objects.yaml").read_text())
    assert version["spec"]["pipelineName"] == pipeline["metadata"]["name"]
    assert re.fullmatch(r"skyclass-training-[0-9a-f]{10}", version["metadata"]["name"])
    assert list(yaml.safe_load_all((FOLDER / "training.yaml").read_text())) == [
        version["spec"]["pipelineSpec"],
        version["spec"]["platformSpec"],
    ]


def test_the_objects_have_the_fields_that_kfp_gives_them(tmp_path: Path) -> None:
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


def test_the_form_has_at_most_eight_fields_each_with_a_default(package: dict[str, Any]) -> None:
    parameters = package["root"]["inputDefinitions"]["parameters"]
    assert len(parameters) <= 8
    signature = inspect.signature(training.training.pipeline_func)
    assert list(signature.parameters) == sorted(parameters), "KFP's form has its own order"
    for name, parameter in parameters.items():
        assert parameter.get("defaultValue") not in (None, ""), name
        assert parameter["parameterType"] in ("STRING", "NUMBER_INTEGER"), name


def test_closed_choices_are_drop_downs_whose_default_is_a_choice(package: dict[str, Any]) -> None:
    parameters = package["root"]["inputDefinitions"]["parameters"]
    for name, choices in training.CHOICES.items():
        assert parameters[name]["literals"] == choices
        assert parameters[name]["defaultValue"] in choices


def test_the_pipeline_is_a_straight_line(package: dict[str, Any]) -> None:
    tasks = package["root"]["dag"]["tasks"]
    assert set(tasks) == {"ingest", "validate", "train", "evaluate", "publish"}
    assert not any("triggerPolicy" in task or "iterator" in str(task) for task in tasks.values())


def test_steps_with_side_effects_or_hidden_inputs_are_never_cached(package: dict[str, Any]) -> None:
    cached = {
        name
        for name, task in package["root"]["dag"]["tasks"].items()
        if task["cachingOptions"].get("enableCache")
    }
    assert cached == {"validate", "train"}


def test_every_step_runs_the_one_image_and_installs_nothing(package: dict[str, Any]) -> None:
    for executor in package["deploymentSpec"]["executors"].values():
        assert executor["container"]["image"] == "localhost/skyclass-jobs:0.1.0"
        assert "pip install" not in str(executor["container"]["command"])


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_a_component_documents_every_argument(component: Any) -> None:
    function = component.python_func
    documented = re.findall(r"^        (\w+): ", inspect.getdoc(function) or "", re.MULTILINE) or [
        *re.findall(r"^    (\w+): ", inspect.getdoc(function) or "", re.MULTILINE)
    ]
    assert documented == list(inspect.signature(function).parameters)


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_a_component_is_a_thin_wrapper(component: Any) -> None:
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


def test_the_readme_explains_every_parameter() -> None:
    table = re.findall(r"^\| `(\w+)` \| `(.*?)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    parameters = inspect.signature(training.training.pipeline_func).parameters
    assert table == [(name, str(parameter.default)) for name, parameter in parameters.items()]


def test_the_page_explains_every_parameter_in_the_words_of_the_package(
    package: dict[str, Any],
) -> None:
    page = (ROOT / "docs/kfp.md").read_text()
    table = dict(re.findall(r"^\| `(\w+)` \| (`.*?` \| .*) \|$", page, re.MULTILINE))
    for name, parameter in package["root"]["inputDefinitions"]["parameters"].items():
        default, words = parameter["defaultValue"], " ".join(parameter["description"].split())
        shown = int(default) if isinstance(default, float) else default
        assert table[name] == f"`{shown}` | {words}"


def test_the_page_names_every_setting_of_the_compiler() -> None:
    page = (ROOT / "docs/kfp.md").read_text()
    assert set(re.findall(r"^\| `(SKYCLASS_\w+)` \|", page, re.MULTILINE)) == set(SETTINGS)
