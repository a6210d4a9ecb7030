"""The compiled pipelines that ship with the library, and the Kubernetes names inside them."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

import skyclass
from skyclass.settings import load

TRAINING = "training"
SCORING = "scoring"

DEFAULT_IMAGE = f"localhost/skyclass-jobs:{skyclass.__version__}"
_IMMUTABLE_IMAGE = r"^[^@\s]+(@sha256:[0-9a-f]{64}|:(?!latest$)[\w.-]+)$"

Document = dict[str, Any]


class PackageNames(BaseSettings):
    """Names that differ between clusters, from SKYCLASS_* variables."""

    model_config = SettingsConfigDict(
        env_prefix="SKYCLASS_", extra="ignore", frozen=True, regex_engine="python-re"
    )

    image: str = Field(DEFAULT_IMAGE, pattern=_IMMUTABLE_IMAGE)
    """Image of every step, by tag (not `latest`) or digest: KFP's cache key has only this name."""
    s3_secret: str = "skyclass-s3-{role}"  # noqa: S105 - name of a Secret
    """Secret with the S3 keys of a role; without `{role}` all roles share one."""
    signing_secret: str = "skyclass-signing"  # noqa: S105 - name of a Secret
    """Secret with the private key that releases are signed with, as private.pem."""
    notification_secret: str = "skyclass-notifications"  # noqa: S105 - name of a Secret
    """Secret with the URLs of the channels that people are notified by, as urls."""
    settings: str = "skyclass-settings"
    """ConfigMap with the settings that are not secret."""
    expectations_config_map: str = "skyclass-expectations"
    """ConfigMap with changed limits of the expectations, as expectations.toml."""
    kfp_namespace: str = "kubeflow"
    """Namespace of the Pipeline and PipelineVersion objects."""


DEFAULT_NAMES = PackageNames.model_construct()
"""The names in the committed packages, whatever the environment says."""


@dataclass(frozen=True)
class Parameter:
    """An input of a pipeline.

    Attributes:
        type: KFP's type, such as STRING or NUMBER_INTEGER.
        default: Value of runs that do not set it.
        choices: Accepted values; empty if any value of the type is accepted.
    """

    type: str
    default: str | int
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Package:
    """A compiled pipeline, as uploaded to KFP.

    Attributes:
        pipeline: KFP's intermediate representation.
        platform: Kubernetes configuration of the steps' pods.
    """

    pipeline: Document
    platform: Document

    @classmethod
    def from_text(cls, text: str) -> "Package":
        """Parse the two YAML documents of a package file."""
        return cls(*yaml.safe_load_all(text))

    @property
    def name(self) -> str:
        """Name of the pipeline."""
        return self.pipeline["pipelineInfo"]["name"]

    @property
    def description(self) -> str:
        """Description of the pipeline."""
        return self.pipeline["pipelineInfo"]["description"]

    @property
    def text(self) -> str:
        """The YAML file to upload."""
        return yaml.safe_dump_all([self.pipeline, self.platform], sort_keys=False)

    @property
    def version(self) -> str:
        """Version name, derived from the content because KFP's versions are immutable."""
        return f"{self.name}-{hashlib.sha256(self.text.encode()).hexdigest()[:10]}"

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Inputs of the pipeline by name."""
        inputs = self.pipeline["root"]["inputDefinitions"]["parameters"]
        return {
            name: Parameter(
                spec["parameterType"], spec["defaultValue"], tuple(spec.get("literals", ()))
            )
            for name, spec in inputs.items()
        }

    @property
    def task_graphs(self) -> Iterator[Document]:
        """Tasks by name, of the pipeline and of each of its loops."""
        for component in (self.pipeline["root"], *self.pipeline["components"].values()):
            if "dag" in component:
                yield component["dag"]["tasks"]

    @property
    def pods(self) -> Mapping[str, Document]:
        """Kubernetes configuration of each executor's pod, by executor."""
        return self.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]

    def required_secrets(self) -> set[str]:
        """Return the names of the Secrets that the steps read in the namespace of the run."""
        return {
            each["secretName"]
            for pod in self.pods.values()
            for kind in ("secretAsEnv", "secretAsVolume")
            for each in pod.get(kind, ())
        }

    def required_config_maps(self) -> set[str]:
        """Return the names of the ConfigMaps that the steps read in the namespace of the run."""
        return {
            each["configMapName"]
            for pod in self.pods.values()
            for each in pod.get("configMapAsEnv", ())
        }

    def rename(self, names: PackageNames) -> "Package":
        """Return a copy of a package with default names in which other names are used."""
        prefix = DEFAULT_NAMES.s3_secret.removesuffix("{role}")
        replacements = {
            DEFAULT_NAMES.image: names.image,
            DEFAULT_NAMES.signing_secret: names.signing_secret,
            DEFAULT_NAMES.notification_secret: names.notification_secret,
            DEFAULT_NAMES.settings: names.settings,
            DEFAULT_NAMES.expectations_config_map: names.expectations_config_map,
            **{
                secret: names.s3_secret.format(role=secret.removeprefix(prefix))
                for secret in self.required_secrets()
                if secret.startswith(prefix)
            },
        }
        return Package(_replace(self.pipeline, replacements), _replace(self.platform, replacements))


def load_package(pipeline: str) -> Package:
    """Load a compiled pipeline, with the names that the environment sets.

    Args:
        pipeline: `TRAINING` or `SCORING`.
    """
    file = files("skyclass.orchestration") / "packages" / f"{pipeline}.yaml"
    return Package.from_text(file.read_text()).rename(load(PackageNames))


def _replace(value: Any, replacements: Mapping[str, str]) -> Any:
    """Replace strings that equal a key, at any depth."""
    if isinstance(value, dict):
        return {key: _replace(each, replacements) for key, each in value.items()}
    if isinstance(value, list):
        return [_replace(each, replacements) for each in value]
    return replacements.get(value, value) if isinstance(value, str) else value
