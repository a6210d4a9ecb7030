"""Every role x every prefix x every verb: the store answers as the table in the docs says."""

import io
from collections.abc import Iterator

import pytest
from minio import Minio
from minio.error import S3Error

from skyclass.admin.identities import GRANTS, Grant, Role, Verb, bucket_name
from skyclass.storage.s3 import ObjectStore
from tests.support.cluster.chart import Installation

PREFIXES = sorted({(grant.bucket, grant.prefix) for grants in GRANTS.values() for grant in grants})
VERBS = ("get", "put", "list", "delete")


@pytest.fixture(scope="module")
def endpoint(installed: Installation) -> Iterator[str]:
    """The store's address here; below each prefix lies one object."""
    with installed.store() as settings:
        store = ObjectStore(settings)
        for bucket, prefix in PREFIXES:
            store.put(bucket_name(bucket, settings), f"{prefix}probe", b"probe", "text/plain")
        yield settings.endpoint_url
        admin = Minio(
            settings.endpoint_url.removeprefix("http://"),
            settings.access_key_id,
            settings.secret_access_key.get_secret_value(),
            secure=False,
        )
        for bucket, prefix in PREFIXES:
            admin.remove_object(bucket_name(bucket, settings), f"{prefix}probe")


@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_do_what_the_table_says_and_no_more(
    installed: Installation, endpoint: str, role: Role
) -> None:
    key, secret = installed.keys(role)
    client = Minio(endpoint.removeprefix("http://"), key, secret, secure=False, region="us-east-1")
    with installed.store() as settings:
        buckets = {bucket: bucket_name(bucket, settings) for bucket, _ in PREFIXES}

    found = {
        (bucket, prefix, verb): _tries(client, buckets[bucket], prefix, verb)
        for bucket, prefix in PREFIXES
        for verb in VERBS
    }

    assert found == {
        (bucket, prefix, verb): _granted(GRANTS[role], bucket, prefix, verb)
        for bucket, prefix in PREFIXES
        for verb in VERBS
    }
    assert any(found.values())


def _granted(grants: tuple[Grant, ...], bucket: str, prefix: str, verb: str) -> bool:
    if verb == "delete":
        return False
    return any(
        grant.bucket == bucket and prefix.startswith(grant.prefix) and Verb(verb) in grant.verbs
        for grant in grants
    )


def _tries(client: Minio, bucket: str, prefix: str, verb: str) -> bool:
    key = f"{prefix}probe"
    try:
        if verb == "get":
            client.stat_object(bucket, key)
        elif verb == "put":
            client.put_object(bucket, key, io.BytesIO(b"probe"), 5)
        elif verb == "list":
            list(client.list_objects(bucket, prefix=prefix))
        else:
            client.remove_object(bucket, f"{prefix}nothing")
    except S3Error as error:
        assert error.code == "AccessDenied", error
        return False
    return True
