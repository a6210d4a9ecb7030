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


def test_policies_grant_only_named_actions_in_the_own_buckets(settings: Settings) -> None:
    for role in Role:
        for statement in make_policy(role, settings)["Statement"]:
            assert not any("*" in action for action in statement["Action"])
            for resource in statement["Resource"]:
                assert resource.removeprefix("arn:aws:s3:::").startswith(settings.buckets)


def test_only_maintenance_deletes_and_no_release_or_transaction_log(settings: Settings) -> None:
    deletable = {
        (role, resource.removeprefix("arn:aws:s3:::"))
        for role in Role
        for statement in make_policy(role, settings)["Statement"]
        if "s3:DeleteObject" in statement["Action"]
        for resource in statement["Resource"]
    }
    data, logs, reports = settings.data_bucket, settings.logs_bucket, settings.reports_bucket
    assert deletable == {
        (Role.MAINTAIN, f"{data}/observations/era=*"),
        (Role.MAINTAIN, f"{data}/predictions/model_version=*"),
        (Role.MAINTAIN, f"{data}/rejected/*"),
        (Role.MAINTAIN, f"{logs}/date=*"),
        (Role.MAINTAIN, f"{reports}/drift/*"),
    }


def test_listing_is_granted_below_the_prefix_only(settings: Settings) -> None:
    found = {
        statement["Condition"]["StringLike"]["s3:prefix"][0]
        for statement in make_policy(Role.DRIFT, settings)["Statement"]
        if statement["Action"] == ["s3:ListBucket"]
    }
    prefixes = ("observations", "releases", "promotions", "drift", "notifications")
    assert found == {"date=*", *(f"{prefix}/*" for prefix in prefixes)}
