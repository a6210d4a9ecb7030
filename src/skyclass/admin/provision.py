"""Provisioning of an object store: versioned buckets and, on MinIO, the identities.

This is the only module that uses MinIO's admin API; it runs once, for the chart's bundled store.
All other modules use plain S3, and other stores need nothing but buckets and keys. The chart's Job
runs `python -m skyclass.admin.provision --identities FOLDER`.
"""

import argparse
import logging
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from minio import MinioAdmin
from minio.commonconfig import ENABLED, Filter
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException
from minio.lifecycleconfig import (
    Expiration,
    LifecycleConfig,
    NoncurrentVersionExpiration,
    Rule,
)
from minio.versioningconfig import VersioningConfig

from skyclass.admin.identities import Role, make_policy
from skyclass.errors import SkyclassError, StoreError, one_line
from skyclass.http import describe_failure, make_pool
from skyclass.logs import start_logging
from skyclass.settings import Settings, load_settings
from skyclass.storage.readiness import wait_until_ready
from skyclass.storage.s3 import ObjectStore, unreachable_error

logger = logging.getLogger("skyclass.admin.provision")  # __name__ is __main__ in the Job

RESTORABLE_DAYS = 30
"""Days for which an object can be restored after it was deleted or replaced. Its space is free only
then. Nothing deletes objects of the models bucket, where earlier versions are kept for ever."""

_LIFECYCLE = LifecycleConfig(
    [
        Rule(
            status=ENABLED,
            rule_filter=Filter(prefix=""),
            rule_id="skyclass",
            expiration=Expiration(expired_object_delete_marker=True),
            noncurrent_version_expiration=NoncurrentVersionExpiration(RESTORABLE_DAYS),
        )
    ]
)

ACCESS_KEY, SECRET_KEY = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"


class Provisioner(ObjectStore):
    """An object store, accessed as its administrator."""

    def provision(self, identities: Path | None, timeout_seconds: float) -> list[Role]:
        """Create missing buckets and identities, and update existing ones. Idempotent.

        Args:
            identities: On MinIO, a folder with one subfolder per role, which holds the keys in the
                files AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; None for other stores.
            timeout_seconds: Time to wait until the store is ready.

        Returns:
            The roles whose identities were created or updated.

        Raises:
            StoreError: The store is unreachable, or rejected a request.
        """
        wait_until_ready(self.make_buckets, timeout_seconds)
        for bucket in self.settings.buckets:
            with self._translate_errors(bucket, ""):
                self._client.set_bucket_versioning(
                    bucket_name=bucket, config=VersioningConfig(ENABLED)
                )
                if bucket != self.settings.models_bucket:
                    self._client.set_bucket_lifecycle(bucket_name=bucket, config=_LIFECYCLE)
        folders = {role: identities / role for role in Role} if identities else {}
        roles = [role for role, folder in folders.items() if folder.is_dir()]
        for role in roles:
            self._provision_identity(role, folders[role])
        return roles

    def _provision_identity(self, role: Role, keys: Path) -> None:
        """Create or update a role's user, whose only policy is the role's."""
        user, secret = ((keys / name).read_text().strip() for name in (ACCESS_KEY, SECRET_KEY))
        admin = _make_admin_client(self.settings)
        try:
            admin.policy_list()  # fails on other stores, before they store a policy as an object
            admin.policy_add(f"skyclass-{role}", policy=make_policy(role, self.settings))
            admin.user_add(user, secret)
            admin.policy_set(f"skyclass-{role}", user=user)
        except MinioAdminException as error:
            raise StoreError(
                f"the store rejected the identity of role {role} ({_error_code(error)}): check "
                "that it is MinIO, and that the keys in the environment are its administrator's"
            ) from error
        except urllib3.exceptions.HTTPError as error:
            raise unreachable_error(self.settings.endpoint_url, describe_failure(error)) from error
        logger.info("granted role %s to identity %s", role, user)


def _make_admin_client(settings: Settings) -> MinioAdmin:
    url = urlsplit(settings.endpoint_url)
    return MinioAdmin(
        endpoint=url.netloc,
        credentials=StaticProvider(
            settings.access_key_id, settings.secret_access_key.get_secret_value()
        ),
        region=settings.region,
        secure=url.scheme == "https",
        http_client=make_pool(
            connect_seconds=settings.s3_connect_seconds,
            read_seconds=settings.s3_read_seconds,
            retries=settings.s3_retries,
            methods=("GET", "PUT"),  # all calls above are idempotent
        ),
    )


def _error_code(error: MinioAdminException) -> str:
    """Return the code of an error response: MinIO sends JSON, other stores XML."""
    found = re.search(r'(?:"Code":"|<Code>)(\w+)', str(error))
    return found[1] if found else one_line(error)


def main() -> None:
    """Run the command line, with the settings of the environment."""
    parser = argparse.ArgumentParser(prog="provision", description=__doc__)
    parser.add_argument(
        "--identities", type=Path, help="folder with the keys of each role in <role>/; MinIO only"
    )
    parser.add_argument(
        "--timeout", type=float, default=600.0, help="seconds to wait for the store (default: 600)"
    )
    parser.add_argument(  # the former name
        "--patience", dest="timeout", type=float, default=argparse.SUPPRESS, help=argparse.SUPPRESS
    )
    arguments = parser.parse_args()
    start_logging()
    try:
        settings = load_settings()
        Provisioner(settings).provision(arguments.identities, arguments.timeout)
    except SkyclassError as error:
        sys.exit(f"error: {error}")
    logger.info("provisioned the buckets %s", ", ".join(settings.buckets))


if __name__ == "__main__":
    main()
