"""Who may do what in the object store: one identity per role, and nothing more than it needs.

The table in docs/kubernetes.md is this one. No role may delete: what is written stays.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from skyclass.settings import Settings


class Role(StrEnum):
    """What a process does; its identity in the object store has the same name."""

    INGEST = "ingest"
    TRAIN = "train"
    PUBLISH = "publish"
    PREDICT = "predict"
    SCORE = "score"
    DRIFT = "drift"
    APPS = "apps"
    PIPELINE = "pipeline"
    """The whole training pipeline in one process, as KFP's local runner has it."""


class Verb(StrEnum):
    """What can be granted below a prefix."""

    GET = "get"
    PUT = "put"
    LIST = "list"


@dataclass(frozen=True)
class Grant:
    """What a role may do below a prefix of a bucket.

    Attributes:
        bucket: `data`, `models`, `logs` or `reports`; the settings say what it is called.
        prefix: The beginning of the keys; empty for all of the bucket.
        verbs: What is allowed.
    """

    bucket: str
    prefix: str
    verbs: tuple[Verb, ...]


_READ = (Verb.GET, Verb.LIST)
_WRITE = (Verb.GET, Verb.PUT, Verb.LIST)
_INGEST = (
    Grant("data", "observations/", _WRITE),
    Grant("data", "rejected/", (Verb.PUT,)),
    Grant("data", "skyserver/", _WRITE),  # answers of SkyServer, so that none is asked for twice
    Grant("data", "sources/", _READ),  # a place for files that people want ingested
)
_TRAIN = (
    Grant("data", "observations/", _READ),
    Grant("models", "releases/", _READ),
    Grant("models", "promotions/", _READ),
)
_PUBLISH = (
    Grant("models", "releases/", _WRITE),
    Grant("models", "promotions/", _WRITE),
)

GRANTS: dict[Role, tuple[Grant, ...]] = {
    Role.INGEST: _INGEST,
    Role.TRAIN: _TRAIN,
    Role.PUBLISH: _PUBLISH,
    Role.PREDICT: (
        Grant("models", "", (Verb.LIST,)),  # KServe's download begins with HeadBucket
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
        Grant("models", "promotions/", _WRITE),  # it rolls back what is worse than its parent
        Grant("logs", "date=", _READ),
        Grant("reports", "drift/", _WRITE),
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
    Role.PIPELINE: (*_INGEST, *_PUBLISH),  # what training reads, these may read as well
}
"""All that each role may do."""

_ACTIONS = {
    Verb.GET: ("s3:GetObject",),
    Verb.PUT: ("s3:PutObject", "s3:AbortMultipartUpload"),
}


def policy(role: Role, settings: Settings) -> dict[str, Any]:
    """A role's grants as an IAM policy, which AWS, MinIO and SeaweedFS understand.

    Args:
        role: The role.
        settings: What the buckets are called.
    """
    statements: list[dict[str, Any]] = []
    for grant in GRANTS[role]:
        bucket = f"arn:aws:s3:::{bucket_name(grant.bucket, settings)}"
        actions = [action for verb in grant.verbs for action in _ACTIONS.get(verb, ())]
        if actions:
            statements.append(_allow(actions, f"{bucket}/{grant.prefix}*"))
        if Verb.LIST in grant.verbs:
            below = {"StringLike": {"s3:prefix": [f"{grant.prefix}*"]}} if grant.prefix else None
            condition = {"Condition": below} if below else {}
            statements.append(_allow(["s3:ListBucket"], bucket) | condition)
    return {"Version": "2012-10-17", "Statement": statements}


def bucket_name(bucket: str, settings: Settings) -> str:
    """What the settings call one of the four buckets."""
    return dict(zip(("data", "models", "logs", "reports"), settings.buckets, strict=True))[bucket]


def _allow(actions: list[str], resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": [resource]}
