"""Identities in the object store and the access that each is granted.

Each kind of process has its own identity with least privilege. Only maintenance may delete objects,
and nothing that it could not merge, replace or declare as expired: no release, no promotion, and no
transaction log of a table. To add an identity, add it here and name it in
charts/skyclass/templates/_components.tpl; `make manifests` then updates the table in
charts/skyclass/README.md.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from skyclass.settings import Settings


class Role(StrEnum):
    """An identity in the object store."""

    INGEST = "ingest"
    TRAIN = "train"
    PUBLISH = "publish"
    PREDICT = "predict"
    SCORE = "score"
    DRIFT = "drift"
    APPS = "apps"
    EXPLAIN = "explain"
    MAINTAIN = "maintain"
    PIPELINE = "pipeline"
    """All steps of the training pipeline in one process, as in the bootstrap Job."""


class Verb(StrEnum):
    """A kind of access to the objects below a prefix."""

    GET = "get"
    PUT = "put"
    LIST = "list"
    DELETE = "delete"


@dataclass(frozen=True)
class Grant:
    """Access to the objects below a prefix.

    Attributes:
        bucket: `data`, `models`, `logs` or `reports`; the settings map it to a bucket's name.
        prefix: Prefix of the keys; empty for the whole bucket.
        verbs: The kinds of access.
    """

    bucket: str
    prefix: str
    verbs: tuple[Verb, ...]


_READ = (Verb.GET, Verb.LIST)
_WRITE = (Verb.GET, Verb.PUT, Verb.LIST)
_INGEST = (
    Grant("data", "observations/", _WRITE),
    Grant("data", "rejected/", (Verb.PUT,)),
    Grant("data", "skyserver/", _WRITE),  # cached SkyServer responses
    Grant("data", "sources/", _READ),  # files that users upload for ingestion
)
_TRAIN = (
    Grant("data", "observations/", _READ),
    Grant("models", "releases/", _READ),
    Grant("models", "promotions/", _READ),
    Grant("logs", "date=", _READ),  # replayed before a promotion
)
_PUBLISH = (
    Grant("models", "releases/", _WRITE),
    Grant("models", "promotions/", _WRITE),
    Grant("reports", "notifications/", _WRITE),
)

GRANTS: dict[Role, tuple[Grant, ...]] = {
    Role.INGEST: _INGEST,
    Role.TRAIN: _TRAIN,
    Role.PUBLISH: _PUBLISH,
    Role.PREDICT: (
        Grant("models", "", (Verb.LIST,)),  # KServe's storage initializer calls HeadBucket
        Grant("models", "releases/", (Verb.GET,)),
        Grant("logs", "date=", (Verb.PUT,)),
    ),
    Role.SCORE: (
        Grant("data", "observations/", _READ),
        Grant("data", "predictions/", _WRITE),
        Grant("data", "sources/", _READ),
        Grant("models", "releases/", _READ),
        Grant("models", "promotions/", _READ),
    ),
    Role.DRIFT: (
        Grant("data", "observations/", _READ),
        Grant("models", "releases/", _READ),
        Grant("models", "promotions/", _WRITE),  # for rollbacks
        Grant("logs", "date=", _READ),
        Grant("reports", "drift/", _WRITE),
        Grant("reports", "notifications/", _WRITE),
    ),
    Role.APPS: (
        Grant("data", "observations/", _READ),
        Grant("data", "rejected/", _READ),
        Grant("data", "predictions/", _READ),
        Grant("models", "releases/", _READ),
        Grant("models", "promotions/", _READ),
        Grant("logs", "date=", _READ),
        Grant("reports", "drift/", _READ),
    ),
    Role.EXPLAIN: (Grant("models", "releases/", _READ),),
    Role.MAINTAIN: (
        Grant("data", "observations/", _WRITE),
        Grant("data", "observations/era=", (Verb.DELETE,)),  # data files, not the transaction log
        Grant("data", "predictions/", _WRITE),
        Grant("data", "predictions/model_version=", (Verb.DELETE,)),
        Grant("data", "rejected/", (Verb.LIST, Verb.DELETE)),
        Grant("models", "releases/", _READ),  # the versions that they were trained on are kept
        Grant("logs", "date=", (*_WRITE, Verb.DELETE)),
        Grant("reports", "drift/", (Verb.LIST, Verb.DELETE)),
    ),
    # Ingest and publish may read the rest of what training reads.
    Role.PIPELINE: (*_INGEST, *_PUBLISH, Grant("logs", "date=", _READ)),
}
"""The grants of each identity."""

_ACTIONS = {
    Verb.GET: ("s3:GetObject",),
    Verb.PUT: ("s3:PutObject", "s3:AbortMultipartUpload"),
    Verb.DELETE: ("s3:DeleteObject",),
}


def make_policy(role: Role, settings: Settings) -> dict[str, Any]:
    """Return the grants of a role as an IAM policy, for AWS, MinIO and SeaweedFS.

    Args:
        role: The role.
        settings: Names of the buckets.
    """
    statements: list[dict[str, Any]] = []
    for grant in GRANTS[role]:
        bucket = f"arn:aws:s3:::{get_bucket_name(grant.bucket, settings)}"
        actions = [action for verb in grant.verbs for action in _ACTIONS.get(verb, ())]
        if actions:
            statements.append(_allow(actions, f"{bucket}/{grant.prefix}*"))
        if Verb.LIST in grant.verbs:
            condition = {"StringLike": {"s3:prefix": [f"{grant.prefix}*"]}} if grant.prefix else {}
            statements.append(
                _allow(["s3:ListBucket"], bucket) | ({"Condition": condition} if condition else {})
            )
    return {"Version": "2012-10-17", "Statement": statements}


def get_bucket_name(bucket: str, settings: Settings) -> str:
    """Return the configured name of `data`, `models`, `logs` or `reports`."""
    return dict(zip(("data", "models", "logs", "reports"), settings.buckets, strict=True))[bucket]


def _allow(actions: list[str], resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": [resource]}
