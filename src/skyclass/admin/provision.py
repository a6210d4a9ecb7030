"""Makes an object store ready: buckets that keep every version, and on MinIO the identities.

This alone speaks MinIO's admin API, once, when the chart's own MinIO is set up. Everything else
speaks plain S3, and asks another store for nothing but buckets and keys. The chart's Job runs it:
`python -m skyclass.admin.provision --identities FOLDER`.
"""

import argparse
import logging
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from minio import MinioAdmin
from minio.commonconfig import ENABLED
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException
from minio.versioningconfig import VersioningConfig
from urllib3.util import Retry, Timeout

from skyclass.admin.identities import Role, policy
from skyclass.errors import SkyclassError, StoreError
from skyclass.logs import start_logging
from skyclass.settings import Settings, load_settings
from skyclass.storage.readiness import wait_until_ready
from skyclass.storage.s3 import ObjectStore, unreachable_error

logger = logging.getLogger("skyclass.admin.provision")  # its name as a program is another

ACCESS_KEY, SECRET_KEY = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"


class Provisioner(ObjectStore):
    """The object store in the hands of its administrator."""

    def prepare(self, identities: Path | None, patience_seconds: float) -> list[Role]:
        """Make what is missing; what is there already is left, or brought up to date.

        Args:
            identities: On MinIO, a folder `<role>/` for each role with its keys in the files
                AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; none for any other store.
            patience_seconds: How long the store may take to come up.

        Returns:
            The roles whose identities are there now.

        Raises:
            StoreError: The store does not answer, or refuses.
        """
        wait_until_ready(self.make_buckets, patience_seconds)
        for bucket in self.settings.buckets:
            with self._translate_errors(bucket, ""):
                self._client.set_bucket_versioning(
                    bucket_name=bucket, config=VersioningConfig(ENABLED)
                )
        roles = [role for role in Role if identities and (identities / role).is_dir()]
        for role in roles:
            assert identities is not None
            self._identity(role, identities / role)
        return roles

    def _identity(self, role: Role, keys: Path) -> None:
        """Make a role's user, and give it the role's policy and no other."""
        user, secret = ((keys / name).read_text().strip() for name in (ACCESS_KEY, SECRET_KEY))
        admin = _admin(self.settings)
        try:
            admin.policy_list()  # another store might take what follows for objects
            admin.policy_add(f"skyclass-{role}", policy=policy(role, self.settings))
            admin.user_add(user, secret)
            admin.policy_set(f"skyclass-{role}", user=user)
        except MinioAdminException as error:
            raise StoreError(
                f"the identity of role {role} was refused ({_code(error)}): is this MinIO, and "
                "are the keys its administrator's?"
            ) from error
        except urllib3.exceptions.HTTPError as error:
            raise unreachable_error(self.settings.endpoint_url, type(error).__name__) from error
        logger.info("identity %s may do what role %s needs", user, role)


def _admin(settings: Settings) -> MinioAdmin:
    url = urlsplit(settings.endpoint_url)
    return MinioAdmin(
        endpoint=url.netloc,
        credentials=StaticProvider(
            settings.access_key_id, settings.secret_access_key.get_secret_value()
        ),
        region=settings.region,
        secure=url.scheme == "https",
        http_client=urllib3.PoolManager(
            timeout=Timeout(connect=settings.s3_connect_seconds, read=settings.s3_read_seconds),
            retries=Retry(total=settings.s3_retries, backoff_factor=0.25),
        ),
    )


def _code(error: MinioAdminException) -> str:
    """The error's code, which MinIO gives as JSON and other stores as XML."""
    found = re.search(r'(?:"Code":"|<Code>)(\w+)', str(error))
    return found[1] if found else " ".join(str(error).split())[:200]


def main() -> None:
    """Do it with the settings of the environment; a foreseen failure is one line and status 1."""
    parser = argparse.ArgumentParser(prog="provision", description=__doc__)
    parser.add_argument("--identities", type=Path, help="on MinIO: <role>/ with each role's keys")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds for the store")
    given = parser.parse_args()
    start_logging()
    try:
        settings = load_settings()
        Provisioner(settings).prepare(given.identities, given.patience)
    except SkyclassError as error:
        sys.exit(f"error: {error}")
    logger.info("the buckets %s keep every version", ", ".join(settings.buckets))


if __name__ == "__main__":
    main()
