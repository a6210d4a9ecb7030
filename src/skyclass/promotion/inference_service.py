"""The InferenceService that serves a mode: what its manifest says, and what it is made from."""

import hashlib
import json
import re
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from skyclass.errors import ClusterError
from skyclass.promotion.cluster import Manifest
from skyclass.registry.releases import RELEASES_PREFIX, Release
from skyclass.survey.features import Mode, model_name

RELEASE = "skyclass/release"
RUN = "skyclass/run"
TRAINING_SET = "skyclass/training-set"
REVISION = "skyclass/revision"
"""Annotation: digest of template and release. KServe copies annotations to the pods, so it tells
those of one promotion from those of another; and as it depends on nothing else, promoting what is
served already starts no pods."""

SOURCE = "internal.serving.kserve.io/storage-initializer-sourceuri"
"""Annotation that KServe gives pods: the storageUri whose files they have."""

EXPECTED_RELEASE = "SKYCLASS_SERVING_EXPECTED_RELEASE"
"""Tells the predictor which manifest it must find, so that it refuses another."""

_BLOCKED = ("BlockedByFailedLoad", "InvalidSpec")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True)
class InferenceService:
    """An InferenceService as the API server has it."""

    manifest: Manifest

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.manifest["metadata"]["name"])

    @property
    def uid(self) -> str:
        """Tells it from another one of the same name."""
        return str(self.manifest["metadata"]["uid"])

    @property
    def annotations(self) -> dict[str, str]:
        """Its annotations."""
        return self.manifest["metadata"].get("annotations") or {}

    @property
    def storage_uri(self) -> str:
        """Where the files that it serves lie."""
        model = self.manifest["spec"]["predictor"].get("model") or {}
        return str(model.get("storageUri", ""))

    @property
    def identity(self) -> tuple[str, str, str | None]:
        """What changes with every promotion and with nothing else; its status changes often."""
        return (self.uid, self.storage_uri, self.annotations.get(REVISION))

    @property
    def status(self) -> Manifest:
        """What KServe says about it."""
        return self.manifest.get("status") or {}

    @property
    def address(self) -> str | None:
        """Where it answers, inside the cluster."""
        return (self.status.get("address") or {}).get("url")

    @property
    def is_ready(self) -> bool:
        """Whether KServe calls it ready; it does so also while a new model fails to load."""
        return any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in self.status.get("conditions") or []
        )

    def release_id(self, mode: Mode, bucket: str) -> str | None:
        """Id of the release that it is told to serve; none when that is no release of ours."""
        prefix = re.escape(f"s3://{bucket}/{RELEASES_PREFIX}/{mode}/")
        found = re.fullmatch(rf"{prefix}([0-9a-f]{{64}})/", self.storage_uri)
        return found[1] if found else None

    def words(self) -> str:
        """What KServe says about it, in one line."""
        said = [
            f"{condition['type']} is {condition['status']}"
            + (f" ({condition['message']})" if condition.get("message") else "")
            for condition in self.status.get("conditions") or []
            if condition["type"] in ("Ready", "PredictorReady")
        ]
        model = self.status.get("modelStatus") or {}
        states = {**(model.get("states") or {}), "transition": model.get("transitionStatus")}
        said.extend(f"{name} is {state}" for name, state in states.items() if state)
        if states["transition"] in _BLOCKED:  # else it may tell of a failure long past
            said.append(str((model.get("lastFailureInfo") or {}).get("message", "")))
        return one_line(", ".join(filter(None, said))) or "KServe has not looked at it yet"

    def applied(self) -> Manifest:
        """The manifest that, applied, makes it again what it is now, to the last field."""
        metadata = self.manifest["metadata"]
        kept = {
            "name": metadata["name"],
            "labels": metadata.get("labels") or {},
            "annotations": {
                name: value for name, value in self.annotations.items() if name != _LAST_APPLIED
            },
        }
        return {"metadata": kept, "spec": self.manifest["spec"]}


def make_manifest(template: str, release: Release, bucket: str, where: str) -> Manifest:
    """Make the manifest that serves a release.

    Args:
        template: The InferenceService without a storageUri, as YAML.
        release: The release.
        bucket: The bucket that it lies in.
        where: Names the template in errors.

    Raises:
        ClusterError: The template is not one of an InferenceService of this mode.
    """
    manifest = _parse(template, model_name(release.mode), where)
    metadata, model = manifest["metadata"], manifest["spec"]["predictor"]["model"]
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
    revision = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    metadata["annotations"][REVISION] = revision[:16]
    return manifest


def at_version(manifest: Manifest, service: InferenceService | None) -> Manifest:
    """The manifest bound to the version of an InferenceService, for a compare-and-swap."""
    bound = deepcopy(manifest)
    if service is not None:
        bound["metadata"]["resourceVersion"] = service.manifest["metadata"]["resourceVersion"]
    return bound


def one_line(text: str) -> str:
    """Text on one line."""
    return " ".join(text.split())


def _parse(template: str, name: str, where: str) -> Any:
    import yaml  # comes with the client of Kubernetes

    try:
        manifest = yaml.safe_load(template)
        found = (manifest["kind"], manifest["metadata"]["name"])
        has_address = "storageUri" in manifest["spec"]["predictor"]["model"]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise ClusterError(
            f"{where} is no InferenceService ({one_line(str(error))}): correct the chart's values"
        ) from error
    if found != ("InferenceService", name):
        raise ClusterError(f"{where} is {' '.join(found)}, not InferenceService {name}: correct it")
    if has_address:
        raise ClusterError(f"{where} has a storageUri, which is for promotions to set: take it out")
    return manifest
