import json
import re
from pathlib import Path

from skyclass.admin.identities import GRANTS, Role, policy
from skyclass.settings import Settings

DOCS = Path(__file__).resolve().parents[3] / "docs/kubernetes.md"


def test_the_table_in_the_docs_is_the_one_that_holds() -> None:
    rows = re.findall(r"^\| (\w+) \| (\w+) \| (\S+) \| ([a-z, ]+) \|$", DOCS.read_text(), re.M)
    documented = {
        (role, bucket, "" if prefix == "(all)" else prefix.strip("`"), verbs)
        for role, bucket, prefix, verbs in rows
        if role != "role"
    }

    assert documented == {
        (str(role), grant.bucket, grant.prefix, ", ".join(grant.verbs))
        for role, grants in GRANTS.items()
        for grant in grants
        if role is not Role.PIPELINE
    }


def test_pipeline_is_ingest_and_publish_and_covers_training() -> None:
    assert GRANTS[Role.PIPELINE] == GRANTS[Role.INGEST] + GRANTS[Role.PUBLISH]
    for wanted in GRANTS[Role.TRAIN]:
        assert any(
            (grant.bucket, grant.prefix) == (wanted.bucket, wanted.prefix)
            and set(wanted.verbs) <= set(grant.verbs)
            for grant in GRANTS[Role.PIPELINE]
        )


def test_no_policy_deletes_or_reaches_all_of_the_store(settings: Settings) -> None:
    for role in Role:
        written = policy(role, settings)
        assert "Delete" not in json.dumps(written)
        for statement in written["Statement"]:
            assert not any("*" in action for action in statement["Action"])
            for resource in statement["Resource"]:
                assert resource.removeprefix("arn:aws:s3:::").startswith(settings.buckets)


def test_a_listing_is_granted_below_the_prefix_alone(settings: Settings) -> None:
    found = {
        statement["Condition"]["StringLike"]["s3:prefix"][0]
        for statement in policy(Role.DRIFT, settings)["Statement"]
        if statement["Action"] == ["s3:ListBucket"]
    }
    assert found == {"observations/*", "releases/*", "promotions/*", "date=*", "drift/*"}
