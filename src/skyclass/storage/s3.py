"""S3 client with timeouts, bounded retries, and error messages of one line."""

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error

from skyclass.errors import StoreError, is_disk_full
from skyclass.http import describe_failure, make_pool
from skyclass.proxies import describe_proxy
from skyclass.settings import Settings
from skyclass.urls import omit_credentials

PARQUET_TYPE = "application/vnd.apache.parquet"
"""Content type of a Parquet file."""

MAX_SINGLE_PUT = 5 * 2**30
"""Bytes; the limit of S3. Up to it, a retried PUT is safer than a multipart upload."""

UPLOAD_PART = 64 * 2**20
"""Bytes; a larger file is uploaded in parts, three of which are in memory."""

_DENIED_CODES = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch")
_MISSING_CODES = ("NoSuchKey", "NoSuchObject", "ResourceNotFound")


class ObjectMissingError(StoreError):
    """No object has the key."""


class StoreUnreachableError(StoreError):
    """The object store did not respond, after all retries."""


class StoredObject(NamedTuple):
    """An object in a list.

    Attributes:
        key: Its key.
        size: Number of bytes.
        written: Time of the last write (UTC).
    """

    key: str
    size: int
    written: datetime


class ObjectStore:
    """A client of the object store.

    A call takes at most (retries + 1) x (connect + read) seconds plus the backoff, about a minute
    with the default settings. Retries are idempotent: they write the same bytes to the same key.

    Attributes:
        settings: Endpoint, credentials, timeouts and bucket names.
    """

    def __init__(self, settings: Settings) -> None:
        """Create a client without contacting the store.

        Raises:
            StoreError: The endpoint is not an HTTP URL.
        """
        self.settings = settings
        pool = make_pool(
            connect_seconds=settings.s3_connect_seconds,
            read_seconds=settings.s3_read_seconds,
            retries=settings.s3_retries,
            methods=None,
        )
        try:
            url = urlsplit(settings.endpoint_url)
            if url.scheme not in ("http", "https") or not re.fullmatch(r"\S+", url.netloc):
                raise ValueError("not an HTTP URL")
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
                f"AWS_ENDPOINT_URL is malformed: {omit_credentials(settings.endpoint_url)}: write "
                "http://host:port or https://host:port, without a user or a path"
            ) from error

    def put(self, bucket: str, key: str, data: bytes, content_type: str) -> None:
        """Write an object, completely or not at all."""
        with self._translate_errors(bucket, key):
            self._client.put_object(
                bucket_name=bucket,
                object_name=key,
                data=io.BytesIO(data),
                length=len(data),
                content_type=content_type,
                part_size=MAX_SINGLE_PUT,
            )

    def upload(self, bucket: str, key: str, path: Path, content_type: str) -> None:
        """Write an object from a file of any size, completely or not at all."""
        with self._translate_errors(bucket, key):
            self._client.fput_object(
                bucket_name=bucket,
                object_name=key,
                file_path=str(path),
                content_type=content_type,
                part_size=UPLOAD_PART,
            )

    def delete(self, bucket: str, keys: Iterable[str]) -> None:
        """Delete objects; those that do not exist are deleted already."""
        with self._translate_errors(bucket, ""):
            objects = (DeleteObject(key) for key in keys)
            for error in self._client.remove_objects(
                bucket_name=bucket, delete_object_list=objects
            ):
                raise s3_error(error.code, f"s3://{bucket}/{error.name or ''}")

    def get(self, bucket: str, key: str, max_bytes: int | None = None) -> bytes:
        """Read an object.

        Args:
            bucket: Name of the bucket.
            key: Key of the object.
            max_bytes: What follows is not read; None reads all.

        Raises:
            ObjectMissingError: No object has the key.
        """
        return self._read(bucket, key, 0, 0, max_bytes)

    def get_range(self, bucket: str, key: str, offset: int, length: int) -> bytes:
        """Read a part of an object.

        Args:
            bucket: Name of the bucket.
            key: Key of the object.
            offset: First byte.
            length: Number of bytes; 0 for all that follow.

        Raises:
            ObjectMissingError: No object has the key.
        """
        return self._read(bucket, key, offset, length)

    def _read(
        self, bucket: str, key: str, offset: int, length: int, max_bytes: int | None = None
    ) -> bytes:
        with self._translate_errors(bucket, key):
            response = self._client.get_object(
                bucket_name=bucket, object_name=key, offset=offset, length=length
            )
            try:
                return response.read(max_bytes)
            finally:
                response.close()
                response.release_conn()

    def get_size(self, bucket: str, key: str) -> int:
        """Return the number of bytes of an object.

        Raises:
            ObjectMissingError: No object has the key.
        """
        with self._translate_errors(bucket, key):
            return self._client.stat_object(bucket_name=bucket, object_name=key).size or 0

    def download(self, bucket: str, key: str, path: Path) -> None:
        """Download an object to a file."""
        with self._translate_errors(bucket, key):
            self._client.fget_object(bucket_name=bucket, object_name=key, file_path=str(path))

    def list_keys(self, bucket: str, prefix: str) -> Iterator[str]:
        """List the keys below a prefix, in byte order."""
        for each in self.list_objects(bucket, prefix):
            yield each.key

    def list_objects(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        """List the objects below a prefix, in byte order of their keys."""
        with self._translate_errors(bucket, prefix):
            for item in self._client.list_objects(
                bucket_name=bucket, prefix=prefix, recursive=True
            ):
                if item.last_modified:
                    yield StoredObject(str(item.object_name), item.size or 0, item.last_modified)

    def list_prefixes(self, bucket: str, prefix: str) -> Iterator[str]:
        """List the common prefixes one level below a prefix, each with a trailing slash."""
        with self._translate_errors(bucket, prefix):
            for item in self._client.list_objects(bucket_name=bucket, prefix=prefix):
                if item.is_dir:
                    yield str(item.object_name)

    def make_buckets(self) -> None:
        """Create the project's buckets that do not exist."""
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
            if isinstance(error, OSError) and is_disk_full(error):
                raise  # a download that does not fit on the local disk
            raise unreachable_error(self.settings.endpoint_url, describe_failure(error)) from error
        except ValueError as error:  # the client validates names before the request
            raise StoreError(
                f"s3://{bucket}/{key} is not an object URI ({str(error) or 'no key'}): "
                "write s3://bucket/key, or correct the SKYCLASS_*_BUCKET settings"
            ) from error


def s3_error(code: str, uri: str) -> StoreError:
    """Return the error for an S3 error code.

    Args:
        code: Error code of S3, such as `NoSuchKey`.
        uri: URI of the object or bucket concerned.
    """
    if code in _MISSING_CODES:
        return ObjectMissingError(f"{uri}: no such object")
    if code == "NoSuchBucket":
        return StoreError(
            f"{uri}: the bucket does not exist: create it, "
            "or correct the SKYCLASS_*_BUCKET settings"
        )
    if code in _DENIED_CODES:
        return StoreError(
            f"{uri}: access denied ({code}): check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "and the policy of their identity"
        )
    if code == "RequestTimeTooSkewed":
        return StoreError(
            f"{uri}: the clock of this machine differs by more than 15 minutes from the object "
            f"store's ({code}): set both by NTP"
        )
    return StoreError(f"{uri}: the object store failed ({code}): try again, or see its log")


def unreachable_error(endpoint: str, reason: str) -> StoreUnreachableError:
    """Return the error for an object store without a response."""
    where = f"{omit_credentials(endpoint)} is unreachable{describe_proxy(endpoint)}"
    return StoreUnreachableError(
        f"the object store at {where} ({reason}): "
        "start it (`skyclass s3` on one machine) or correct AWS_ENDPOINT_URL"
    )


def split_uri(uri: str) -> tuple[str, str]:
    """Split an S3 URI into bucket and key.

    Raises:
        StoreError: The URI does not have the form s3://bucket/key.

    Examples:
        >>> split_uri("s3://bucket/folder/photometry.csv")
        ('bucket', 'folder/photometry.csv')
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise StoreError(f"{uri} is not an S3 URI: write s3://bucket/key")
    return bucket, key
