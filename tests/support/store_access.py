"""The access to an object store that a role has: every prefix and verb is tried."""

import io

from minio import Minio
from minio.error import S3Error

from skyclass.admin.identities import GRANTS, Role, Verb, get_bucket_name
from skyclass.settings import Settings

PREFIXES = sorted({(grant.bucket, grant.prefix) for grants in GRANTS.values() for grant in grants})
Cells = dict[tuple[str, str, Verb], bool]


def connect(settings: Settings, key: str, secret: str) -> Minio:
    """Return a client of the store in the settings that has other keys."""
    endpoint = settings.endpoint_url.removeprefix("http://")
    return Minio(endpoint, key, secret, secure=False, region=settings.region)


def connect_as_administrator(settings: Settings) -> Minio:
    """Return a client with the keys of the settings."""
    return connect(settings, settings.access_key_id, settings.secret_access_key.get_secret_value())


def put_probes(settings: Settings) -> None:
    """Store one object below each prefix."""
    admin = connect_as_administrator(settings)
    for bucket, prefix in PREFIXES:
        name = get_bucket_name(bucket, settings)
        admin.put_object(name, f"{prefix}probe", io.BytesIO(b"probe"), 5)


def remove_probes(settings: Settings) -> None:
    """Delete these objects."""
    admin = connect_as_administrator(settings)
    for bucket, prefix in PREFIXES:
        admin.remove_object(get_bucket_name(bucket, settings), f"{prefix}probe")


def try_access(client: Minio, settings: Settings) -> Cells:
    """Return whether the store permits each verb below each prefix."""
    return {
        (bucket, prefix, verb): _is_allowed(client, get_bucket_name(bucket, settings), prefix, verb)
        for bucket, prefix in PREFIXES
        for verb in Verb
    }


def list_grants(role: Role) -> Cells:
    """Return whether a role is granted each verb below each prefix."""
    return {
        (bucket, prefix, verb): any(
            grant.bucket == bucket and prefix.startswith(grant.prefix) and verb in grant.verbs
            for grant in GRANTS[role]
        )
        for bucket, prefix in PREFIXES
        for verb in Verb
    }


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
