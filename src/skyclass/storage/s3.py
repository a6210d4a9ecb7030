"""Plain S3 with deadlines: every call ends in bounded time, and every failure in one clear line."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error
from urllib3.util import Retry, Timeout

from skyclass.errors import StoreError
from skyclass.settings import Settings

MAX_SINGLE_PUT = 5 * 2**30
"""Bytes; S3's own limit. Below it one retried PUT is safer than a multipart upload."""

_BACKOFF_SECONDS = 0.25
_TEMPORARY = (429, 500, 502, 503, 504)
_REFUSED = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch")
_ABSENT = ("NoSuchKey", "NoSuchObject", "ResourceNotFound")


class ObjectMissingError(StoreError):
    """There is no object of that key."""


class ObjectStore:
    """The object store, spoken to in plain S3.

    A call takes at most (retries + 1) x (connect + read) seconds plus the pauses between tries;
    with the default settings about a minute. Retries are safe: what is written twice has the same
    key and the same bytes.
    """

    def __init__(self, settings: Settings) -> None:
        """Prepare a client; nothing is contacted yet.

        Raises:
            StoreError: The endpoint is no URL of a server.
        """
        self.settings = settings
        pool = urllib3.PoolManager(
            timeout=Timeout(connect=settings.s3_connect_seconds, read=settings.s3_read_seconds),
            retries=Retry(
                total=settings.s3_retries,
                backoff_factor=_BACKOFF_SECONDS,
                status_forcelist=_TEMPORARY,
                raise_on_status=False,
                respect_retry_after_header=False,  # a server must not choose our deadline
            ),
        )
        try:
            url = urlsplit(settings.endpoint_url)
            if url.scheme not in ("http", "https") or not re.fullmatch(r"\S+", url.netloc):
                raise ValueError("no URL of HTTP")
            self._client = Minio(
                endpoint=url.netloc + url.path.rstrip("/"),
                access_key=settings.access_key_id,
                secret_key=settings.secret_access_key.get_secret_value(),
                region=settings.region,
                secure=url.scheme == "https",
                http_client=pool,
            )
        except ValueError as error:
            raise StoreError(
                f"AWS_ENDPOINT_URL is no address of a server ({settings.endpoint_url}: {error}): "
                "write http://host:port or https://host:port"
            ) from error

    def put(self, bucket: str, key: str, data: bytes, content_type: str) -> None:
        """Write one object, whole or not at all."""
        with self._translate_errors(bucket, key):
            self._client.put_object(
                bucket_name=bucket,
                object_name=key,
                data=io.BytesIO(data),
                length=len(data),
                content_type=content_type,
                part_size=MAX_SINGLE_PUT,
            )

    def get(self, bucket: str, key: str) -> bytes:
        """Read one object.

        Raises:
            ObjectMissingError: There is no such object.
        """
        with self._translate_errors(bucket, key):
            response = self._client.get_object(bucket_name=bucket, object_name=key)
            try:
                return response.read()
            finally:
                response.close()
                response.release_conn()

    def download(self, bucket: str, key: str, path: Path) -> None:
        """Copy one object into a file."""
        with self._translate_errors(bucket, key):
            self._client.fget_object(bucket_name=bucket, object_name=key, file_path=str(path))

    def list_keys(self, bucket: str, prefix: str) -> Iterator[str]:
        """Keys below a prefix, in the order of their bytes."""
        with self._translate_errors(bucket, prefix):
            for item in self._client.list_objects(
                bucket_name=bucket, prefix=prefix, recursive=True
            ):
                yield str(item.object_name)

    def list_with_times(self, bucket: str, prefix: str) -> Iterator[tuple[str, datetime]]:
        """Keys below a prefix, and when each was written (UTC)."""
        with self._translate_errors(bucket, prefix):
            for item in self._client.list_objects(
                bucket_name=bucket, prefix=prefix, recursive=True
            ):
                if item.last_modified:
                    yield str(item.object_name), item.last_modified

    def list_prefixes(self, bucket: str, prefix: str) -> Iterator[str]:
        """Common prefixes one level below a prefix, each ending in a slash."""
        with self._translate_errors(bucket, prefix):
            for item in self._client.list_objects(bucket_name=bucket, prefix=prefix):
                if item.is_dir:
                    yield str(item.object_name)

    def make_buckets(self) -> None:
        """Create the project's buckets where they are missing."""
        for bucket in self.settings.buckets:
            with self._translate_errors(bucket, ""):
                if not self._client.bucket_exists(bucket_name=bucket):
                    self._client.make_bucket(bucket_name=bucket)

    @contextmanager
    def _translate_errors(self, bucket: str, key: str) -> Iterator[None]:
        try:
            yield
        except S3Error as error:
            raise s3_error(error.code or "no code", f"s3://{bucket}/{key}") from error
        except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
            raise unreachable_error(self.settings.endpoint_url, type(error).__name__) from error
        except ValueError as error:  # the client checks names before it asks the server
            raise StoreError(
                f"s3://{bucket}/{key} is no address of an object ({str(error) or 'no key'}): "
                "write s3://bucket/key, or correct the SKYCLASS_*_BUCKET settings"
            ) from error


def s3_error(code: str, where: str) -> StoreError:
    """Say in one line what an S3 error code means for the object or bucket concerned."""
    if code in _ABSENT:
        return ObjectMissingError(f"{where}: there is no such object")
    if code == "NoSuchBucket":
        return StoreError(
            f"{where}: the bucket does not exist: create it, "
            "or correct the SKYCLASS_*_BUCKET settings"
        )
    if code in _REFUSED:
        return StoreError(
            f"the object store refused access to {where} ({code}): check "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what their identity may do"
        )
    return StoreError(f"{where}: the object store failed ({code}): try again")


def unreachable_error(endpoint: str, reason: str) -> StoreError:
    """Say in one line that the object store cannot be reached."""
    return StoreError(
        f"the object store at {endpoint} is unreachable ({reason}): "
        "start it (`skyclass s3` on one machine) or correct AWS_ENDPOINT_URL"
    )


def split_uri(uri: str) -> tuple[str, str]:
    """Split s3://bucket/key into bucket and key.

    Raises:
        StoreError: The URI is not of that form.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise StoreError(f"{uri} is no S3 address: write s3://bucket/key")
    return bucket, key
