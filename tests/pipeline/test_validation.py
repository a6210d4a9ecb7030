"""A package that KFP would take and then stumble over is refused before it is applied."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import yaml

from pipelines.compile import FOLDER
from pipelines.validation import PackageError, check_package

Documents = list[dict[str, Any]]


@pytest.fixture(scope="module")
def committed() -> Documents:
    return list(yaml.safe_load_all((FOLDER / "training.yaml").read_text()))


def tasks(documents: Documents) -> Any:
    return documents[0]["root"]["dag"]["tasks"]


def executors(documents: Documents) -> Any:
    return documents[0]["deploymentSpec"]["executors"]


def parameters(documents: Documents) -> Any:
    return documents[0]["root"]["inputDefinitions"]["parameters"]


def pods(documents: Documents) -> Any:
    return documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def with_image(image: str) -> Callable[[Documents], None]:
    return lambda found: executors(found)["exec-train"]["container"].update(image=image)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda found: executors(found).pop("exec-train"), "executor exec-train does not exist"),
        (lambda found: found[0]["components"].pop("comp-train"), "comp-train does not exist"),
        (lambda found: tasks(found).pop("publish"), "nothing uses comp-publish"),
        (
            lambda found: tasks(found)["publish"].update(dependentTasks=["judge"]),
            "task publish waits for judge does not exist",
        ),
        (lambda found: pods(found).update({"exec-x": {}}), "the platform's executor exec-x does"),
        (lambda found: tasks(found)["train"].update(retries=3), 'no field named "retries"'),
        (lambda found: pods(found)["exec-train"].update(runAs="me"), 'no field named "runAs"'),
        (lambda found: tasks(found).update(Train_=tasks(found)["train"]), "'Train_' is no name"),
        (with_image("skyclass-jobs:latest"), "no immutable tag or digest"),
        (with_image("registry.example:5000/skyclass-jobs"), "no immutable tag or digest"),
        (lambda found: pods(found)["exec-train"].pop("securityContext"), "without root"),
        (lambda found: parameters(found)["seed"].pop("defaultValue"), "seed has no default"),
        (
            lambda found: parameters(found)["seed"].update(defaultValue="0"),
            "the default of parameter seed, '0', is no NUMBER_INTEGER",
        ),
        (
            lambda found: parameters(found)["mode"].update(defaultValue="both"),
            "the default of parameter mode, 'both', is none of its choices",
        ),
    ],
)
def test_what_a_backend_would_stumble_over_is_one_clear_line(
    committed: Documents, spoil: Callable[[Documents], None], complaint: str
) -> None:
    documents = deepcopy(committed)
    spoil(documents)
    with pytest.raises(PackageError) as refused:
        check_package("training-1", *documents)
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("image", ["here/sky:0.1.0", "here:5000/sky@sha256:" + "a" * 64])
def test_an_immutable_image_of_any_registry_is_taken(committed: Documents, image: str) -> None:
    documents = deepcopy(committed)
    for executor in executors(documents).values():
        executor["container"]["image"] = image
    check_package("training-1", *documents)


def test_a_version_that_kubernetes_could_not_name_is_refused(committed: Documents) -> None:
    with pytest.raises(PackageError, match="is no name for Kubernetes"):
        check_package("a" * 64, *committed)
