"""Settings, read from environment variables and from the file of the embedded S3 server."""

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from skyclass.errors import SkyclassError
from skyclass.urls import normalize_scheme, omit_credentials

S = TypeVar("S", bound=BaseSettings)

Url = Annotated[str, AfterValidator(normalize_scheme)]

PublicUrl = Annotated[Url, AfterValidator(omit_credentials)]
"""A URL that is logged or stored as a link: a user and password in it are dropped."""

S3_ENV_FILE = "s3.env"
"""File in the home folder with the AWS_* variables of the running embedded S3 server."""


class Settings(BaseSettings):
    """Settings shared by all commands and services.

    The object store has the standard AWS_* variables, and KFP its own. All other variables begin
    with SKYCLASS_.
    """

    model_config = SettingsConfigDict(env_prefix="SKYCLASS_", extra="ignore", frozen=True)

    home: Path = Path(".skyclass")
    """The only local folder that the project writes to."""

    endpoint_url: Url = Field(validation_alias="AWS_ENDPOINT_URL")
    access_key_id: str = Field(validation_alias="AWS_ACCESS_KEY_ID")
    secret_access_key: SecretStr = Field(validation_alias="AWS_SECRET_ACCESS_KEY")
    region: str = Field("us-east-1", validation_alias="AWS_REGION")

    s3_connect_seconds: PositiveFloat = 3.0
    s3_read_seconds: PositiveFloat = 15.0
    s3_retries: NonNegativeInt = 3

    data_bucket: str = "skyclass-data"
    models_bucket: str = "skyclass-models"
    logs_bucket: str = "skyclass-logs"
    reports_bucket: str = "skyclass-reports"

    expectations_file: Path | None = None
    """TOML file with limits of the expectations that differ from those of the package."""
    signing_key: Path | None = None
    """PEM file with the private key that signs published releases."""
    skyserver_url: PublicUrl = "https://skyserver.sdss.org"
    """URL of SkyServer or of a mirror; each data release is a path below it."""
    skyserver_contact: str = ""
    """Your e-mail address for SkyServer's operators, sent in the User-Agent of each query."""

    drift_period_hours: PositiveFloat = 24.0
    """Hours between two runs of the drift job; the monitor reports older windows as stale."""
    label_set_coverage: float = Field(0.95, gt=0, lt=1)
    """Promised coverage of the label sets that the drift job measures."""

    kfp_url: PublicUrl = Field("", validation_alias="KF_PIPELINES_UI_ENDPOINT")
    """URL of KFP's user interface, for links to runs."""
    run_id: str = "by-hand"
    """Id of the pipeline run, recorded in manifests and promotion events."""

    max_cores: PositiveInt | None = Field(None, validation_alias="LOKY_MAX_CPU_COUNT")
    """Upper limit of the cores that are used. joblib reads it; here it is only checked."""

    namespace: str = ""
    """Namespace of the InferenceServices; empty without a cluster."""
    inference_service_templates: str = "skyclass-inference-services"
    """ConfigMap in that namespace with a template `<mode>.yaml` for each InferenceService."""
    promotion_seconds: PositiveFloat = 300.0
    """Timeout of a rollout in seconds; after it, the previous release is restored."""

    @property
    def buckets(self) -> tuple[str, str, str, str]:
        """All bucket names, in the order data, models, logs, reports."""
        return (self.data_bucket, self.models_bucket, self.logs_bucket, self.reports_bucket)


class HomeSettings(BaseSettings):
    """The home folder, which is needed before the object store is known."""

    model_config = SettingsConfigDict(env_prefix="SKYCLASS_", extra="ignore", frozen=True)

    home: Path = Path(".skyclass")


def load_settings() -> Settings:
    """Read the settings from the environment, then from the running embedded S3 server.

    Raises:
        SkyclassError: A setting is missing or malformed; the message names it.
    """
    return load(Settings, env_file=HomeSettings().home / S3_ENV_FILE)


def load(kind: type[S], env_file: Path | None = None) -> S:
    """Read one group of settings from the environment.

    Args:
        kind: The settings class; its `env_prefix` and aliases name the variables.
        env_file: A file with further variables; those of the environment take precedence.

    Raises:
        SkyclassError: A setting is missing or malformed; the message names it.
    """
    try:
        return kind(_env_file=env_file)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        prefix = kind.model_config.get("env_prefix", "")
        name = field if field.isupper() else f"{prefix}{field.upper()}"  # aliases are upper case
        if first["type"] == "missing":
            raise SkyclassError(
                f"{name} is not set: start the embedded object store with `skyclass s3`, "
                "or set the AWS_* variables of your own"
            ) from None
        raise SkyclassError(f"{name} is malformed ({first['msg']}): correct it") from None
