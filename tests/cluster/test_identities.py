"""The store grants exactly the documented access: every role, prefix and verb is tested."""

import io
from collections.abc import Iterator

import pytest
from minio import Minio
from minio.error import S3Error

from skyclass.admin.identities import GRANTS, Grant, Role, Verb, get_bucket_name
from skyclass.storage.s3 import ObjectStore
from tests.support.cluster.chart import Installation

PREFIXES = sorted({(grant.bucket, grant.prefix) for grants in GRANTS.values() for grant in grants})


@pytest.fixture(scope="module")
def endpoint(installed: Installation) -> Iterator[str]:
    """Local URL of the store, with one object below each prefix."""
    with installed.connect_to_store() as settings:
        store = ObjectStore(settings)
        for bucket, prefix in PREFIXES:
            store.put(get_bucket_name(bucket, settings), f"{prefix}probe", b"probe", "text/plain")
        yield settings.endpoint_url
        admin = Minio(
            settings.endpoint_url.removeprefix("http://"),
            settings.access_key_id,
            settings.secret_access_key.get_secret_value(),
            secure=False,
        )
        for bucket, prefix in PREFIXES:
            admin.remove_object(get_bucket_name(bucket, settings), f"{prefix}probe")


@pytest.mark.parametrize("role", list(Role))
def test_a_role_has_exactly_the_granted_access(
    installed: Installation, endpoint: str, role: Role
) -> None:
    key, secret = installed.read_keys(role)
    client = Minio(endpoint.removeprefix("http://"), key, secret, secure=False, region="us-east-1")
    with installed.connect_to_store() as settings:
        buckets = {bucket: get_bucket_name(bucket, settings) for bucket, _ in PREFIXES}

    found = {
        (bucket, prefix, verb): _is_allowed(client, buckets[bucket], prefix, verb)
        for bucket, prefix in PREFIXES
        for verb in Verb
    }

    assert found == {
        (bucket, prefix, verb): _is_granted(GRANTS[role], bucket, prefix, verb)
        for bucket, prefix in PREFIXES
        for verb in Verb
    }
    assert any(found.values())


def _is_granted(grants: tuple[Grant, ...], bucket: str, prefix: str, verb: Verb) -> bool:
    return any(
        grant.bucket == bucket and prefix.startswith(grant.prefix) and verb in grant.verbs
        for grant in grants
    )


def _is_allowed(client: Minio, bucket: str, prefix: str, verb: Verb) -> bool:
    key = f"{prefix}probe"
    try:
        if verb is Verb.GET:
            client.stat_object(bucket, key)
        elif verb is Verb.PUT:
            client.put_object(bucket, key, io.BytesIO(b"probe"), 5)
        elif verb is Verb.LIST:
            list(client.list_objects(bucket, prefix=prefix))
        else:
            client.remove_object(bucket, f"{prefix}nothing")
    except S3Error as error:
        assert error.code == "AccessDenied", error
        return False
    return True
