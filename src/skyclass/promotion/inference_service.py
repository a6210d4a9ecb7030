"""The InferenceService of a mode: read its fields, and build it from a template and a release."""

import hashlib
import json
import re
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from skyclass.errors import ClusterError, one_line
from skyclass.promotion.cluster import KubernetesObject
from skyclass.registry.releases import RELEASES_PREFIX, Release
from skyclass.survey.features import Mode, model_name

RELEASE = "skyclass/release"
RUN = "skyclass/run"
TRAINING_SET = "skyclass/training-set"
REVISION = "skyclass/revision"
"""Annotation: digest of template and release. KServe copies it to the pods, so it identifies the
pods of one promotion. It depends on nothing else, so promoting the served release starts none."""

SOURCE = "internal.serving.kserve.io/storage-initializer-sourceuri"
"""Annotation that KServe sets on pods: the storageUri that they downloaded."""

EXPECTED_RELEASE = "SKYCLASS_SERVING_EXPECTED_RELEASE"
"""Environment variable: id of the release that the predictor must find; it rejects any other."""

_MAX_CHARACTERS = 500
_BLOCKED = ("BlockedByFailedLoad", "InvalidSpec")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True)
class InferenceService:
    """An InferenceService as the API server returned it.

    Attributes:
        body: The whole object.
    """

    body: KubernetesObject

    @property
    def name(self) -> str:
        """Name of the object, and of the model."""
        return str(self.body["metadata"]["name"])

    @property
    def uid(self) -> str:
        """Identifies the object even if another one gets the same name."""
        return str(self.body["metadata"]["uid"])

    @property
    def annotations(self) -> dict[str, str]:
        """Annotations; empty if there are none."""
        return self.body["metadata"].get("annotations") or {}

    @property
    def storage_uri(self) -> str:
        """URI of the release in the object store."""
        model = self.body["spec"]["predictor"].get("model") or {}
        return str(model.get("storageUri", ""))

    @property
    def identity(self) -> tuple[str, str, str | None]:
        """Changes with each promotion and, unlike resourceVersion, not with the status."""
        return (self.uid, self.storage_uri, self.annotations.get(REVISION))

    @property
    def status(self) -> KubernetesObject:
        """Status as KServe reports it; empty before the first report."""
        return self.body.get("status") or {}

    @property
    def address(self) -> str | None:
        """URL inside the cluster."""
        return (self.status.get("address") or {}).get("url")

    @property
    def is_ready(self) -> bool:
        """Whether its condition Ready is true, which it also is while a new model fails to load."""
        return any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in self.status.get("conditions") or []
        )

    def release_id(self, mode: Mode, bucket: str) -> str | None:
        """Return the id of the release in its storageUri; None if that is not a release."""
        prefix = re.escape(f"s3://{bucket}/{RELEASES_PREFIX}/{mode}/")
        found = re.fullmatch(rf"{prefix}([0-9a-f]{{64}})/", self.storage_uri)
        return found[1] if found else None

    def describe(self) -> str:
        """Return the status on one line."""
        parts = [
            f"{condition['type']} is {condition['status']}"
            + (f" ({condition['message']})" if condition.get("message") else "")
            for condition in self.status.get("conditions") or []
            if condition["type"] in ("Ready", "PredictorReady")
        ]
        model = self.status.get("modelStatus") or {}
        states = {**(model.get("states") or {}), "transition": model.get("transitionStatus")}
        parts.extend(f"{name} is {state}" for name, state in states.items() if state)
        if states["transition"] in _BLOCKED:  # otherwise the failure may be over
            parts.append(str((model.get("lastFailureInfo") or {}).get("message", "")))
        return one_line(", ".join(filter(None, parts)), _MAX_CHARACTERS) or "no status yet"

    def to_applicable(self) -> KubernetesObject:
        """Return the object that, when applied, restores every field that it has now."""
        metadata = self.body["metadata"]
        restored = {
            "name": metadata["name"],
            "labels": metadata.get("labels") or {},
            "annotations": {
                name: value for name, value in self.annotations.items() if name != _LAST_APPLIED
            },
        }
        return {"metadata": restored, "spec": self.body["spec"]}


def make_inference_service(
    template: str, release: Release, bucket: str, where: str
) -> KubernetesObject:
    """Build the InferenceService that serves a release.

    Args:
        template: The InferenceService without a storageUri, as YAML.
        release: The release.
        bucket: The models bucket.
        where: Names the template in messages.

    Raises:
        ClusterError: The template is not an InferenceService of the mode of the release.
    """
    service = _parse(template, model_name(release.mode), where)
    metadata, model = service["metadata"], service["spec"]["predictor"]["model"]
    metadata.pop("namespace", None)
    model["storageUri"] = f"s3://{bucket}/{release.prefix}"
    others = [each for each in model.get("env") or [] if each["name"] != EXPECTED_RELEASE]
    model["env"] = [*others, {"name": EXPECTED_RELEASE, "value": release.id}]
    training_set = release.manifest.training_set
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        RELEASE: release.id,
        RUN: release.manifest.run_id,
        TRAINING_SET: f"{training_set.table}@{training_set.version}",
    }
    revision = hashlib.sha256(json.dumps(service, sort_keys=True).encode()).hexdigest()
    metadata["annotations"][REVISION] = revision[:16]
    return service


def set_version(target: KubernetesObject, current: InferenceService | None) -> KubernetesObject:
    """Return a copy with the resourceVersion of the current object, for a compare-and-swap."""
    copy = deepcopy(target)
    if current is not None:
        copy["metadata"]["resourceVersion"] = current.body["metadata"]["resourceVersion"]
    return copy


def _parse(template: str, name: str, where: str) -> Any:
    import yaml  # a dependency of the Kubernetes client

    try:
        service = yaml.safe_load(template)
        found = (service["kind"], service["metadata"]["name"])
        has_address = "storageUri" in service["spec"]["predictor"]["model"]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise ClusterError(
            f"{where} is not an InferenceService ({one_line(error)}): correct the chart's values"
        ) from error
    if found != ("InferenceService", name):
        raise ClusterError(
            f"{where} is {' '.join(found)}, expected InferenceService {name}: correct it"
        )
    if has_address:
        raise ClusterError(f"{where} sets storageUri, which promotions set: remove it")
    return service
