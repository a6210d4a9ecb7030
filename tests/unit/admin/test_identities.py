import json

from skyclass.admin.identities import GRANTS, Role, make_policy
from skyclass.settings import Settings


def test_pipeline_combines_ingest_and_publish_and_includes_train() -> None:
    combined = GRANTS[Role.INGEST] + GRANTS[Role.PUBLISH]
    assert GRANTS[Role.PIPELINE][: len(combined)] == combined
    assert set(GRANTS[Role.PIPELINE][len(combined) :]) <= set(GRANTS[Role.TRAIN])
    for needed in GRANTS[Role.TRAIN]:
        assert any(
            (grant.bucket, grant.prefix) == (needed.bucket, needed.prefix)
            and set(needed.verbs) <= set(grant.verbs)
            for grant in GRANTS[Role.PIPELINE]
        )


def test_policies_grant_no_deletion_and_only_the_own_buckets(settings: Settings) -> None:
    for role in Role:
        document = make_policy(role, settings)
        assert "Delete" not in json.dumps(document)
        for statement in document["Statement"]:
            assert not any("*" in action for action in statement["Action"])
            for resource in statement["Resource"]:
                assert resource.removeprefix("arn:aws:s3:::").startswith(settings.buckets)


def test_listing_is_granted_below_the_prefix_only(settings: Settings) -> None:
    found = {
        statement["Condition"]["StringLike"]["s3:prefix"][0]
        for statement in make_policy(Role.DRIFT, settings)["Statement"]
        if statement["Action"] == ["s3:ListBucket"]
    }
    prefixes = ("observations", "releases", "promotions", "drift", "notifications")
    assert found == {"date=*", *(f"{prefix}/*" for prefix in prefixes)}
