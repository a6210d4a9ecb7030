"""SeaweedFS with the command, the environment and the identities that the chart gives it."""

import hashlib
import os
import signal
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest
import urllib3
from minio.credentials import Credentials
from minio.error import S3Error
from minio.signer import sign_v4_s3
from minio.versioningconfig import ENABLED, SUSPENDED, VersioningConfig

from charts.readme import CHART
from charts.render import render
from skyclass.admin.identities import Role
from skyclass.admin.provision import Provisioner
from skyclass.storage.s3 import ObjectStore
from tests.support.seaweedfs import ChartStore
from tests.support.store_access import (
    connect,
    connect_as_administrator,
    list_grants,
    put_probes,
    try_access,
)


def prepare(folder: Path) -> ChartStore:
    """Render the chart, and prepare its store in a folder."""
    return ChartStore(render("-f", str(CHART / "ci/seaweedfs-values.yaml")), folder)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChartStore]:
    """The running store, provisioned, with one object below each prefix."""
    server = prepare(tmp_path_factory.mktemp("seaweedfs"))
    with server.run():
        Provisioner(server.settings).provision(None, timeout_seconds=10)
        put_probes(server.settings)
        yield server


@pytest.mark.parametrize("role", list(Role))
def test_a_role_has_exactly_the_granted_access(server: ChartStore, role: Role) -> None:
    client = connect(server.settings, *server.read_keys(role))

    assert try_access(client, server.settings) == list_grants(role)


def test_maintenance_neither_reads_nor_deletes_earlier_versions(server: ChartStore) -> None:
    bucket, key = server.settings.data_bucket, "observations/era=legacy/part"
    store = ObjectStore(server.settings)
    store.put(bucket, key, b"first", "text/plain")
    store.put(bucket, key, b"second", "text/plain")
    admin = connect_as_administrator(server.settings)
    versions = [each.version_id for each in admin.list_objects(bucket, key, include_version=True)]
    assert len(versions) == 2
    client = connect(server.settings, *server.read_keys(Role.MAINTAIN))

    for version in versions:
        with pytest.raises(S3Error, match="AccessDenied"):
            client.remove_object(bucket, key, version_id=version)
        with pytest.raises(S3Error, match="AccessDenied"):
            client.get_object(bucket, key, version_id=version)


@pytest.mark.parametrize("role", list(Role))
def test_no_role_administers_a_bucket(server: ChartStore, role: Role) -> None:
    client = connect(server.settings, *server.read_keys(role))
    for bucket in server.settings.buckets:
        for change in (
            lambda bucket=bucket: client.set_bucket_versioning(bucket, VersioningConfig(SUSPENDED)),
            lambda bucket=bucket: client.delete_bucket_lifecycle(bucket),
            lambda bucket=bucket: client.delete_bucket_policy(bucket),
            lambda bucket=bucket: client.remove_bucket(bucket),
            lambda bucket=bucket: client.make_bucket(f"{bucket}-{role}"),
        ):
            with pytest.raises(S3Error, match="AccessDenied"):
                change()
    admin = connect_as_administrator(server.settings)
    assert admin.get_bucket_versioning(server.settings.data_bucket).status == ENABLED


def test_a_request_without_keys_is_denied(server: ChartStore) -> None:
    url = f"{server.settings.endpoint_url}/{server.settings.models_bucket}/releases/probe"
    for method in ("GET", "PUT", "DELETE"):
        assert urllib3.request(method, url).status == 403
    assert urllib3.request("GET", server.settings.endpoint_url).status == 403


def test_nobody_changes_identities_through_the_grpc_port(server: ChartStore) -> None:
    port = server.grpc_ports["s3"]
    socket.create_connection(("127.0.0.1", port)).close()  # it listens
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    list_policies = channel.unary_unary("/messaging_pb.SeaweedS3IamCache/ListPolicies")

    with pytest.raises(grpc.RpcError) as error:
        list_policies(b"", timeout=10)
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("identity", [*Role, "root"])
def test_nobody_creates_keys_through_the_iam_api(server: ChartStore, identity: str) -> None:
    url, now = f"{server.settings.endpoint_url}/", datetime.now(UTC)
    body = b"Action=CreateAccessKey&Version=2010-05-08"
    digest = hashlib.sha256(body).hexdigest()
    headers = sign_v4_s3(
        method="POST",
        url=urlsplit(url),
        region=server.settings.region,
        headers={
            "Host": urlsplit(url).netloc,
            "Content-Type": "application/x-www-form-urlencoded",
            "x-amz-content-sha256": digest,
            "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ"),
        },
        credentials=Credentials(*server.read_keys(identity)),
        content_sha256=digest,
        date=now,
    )

    response = urllib3.request("POST", url, body=body, headers=dict(headers.items()))

    assert response.status == 405


def test_rotated_keys_replace_the_former_ones_when_the_store_restarts(tmp_path: Path) -> None:
    server = prepare(tmp_path)
    former, new = server.read_keys(Role.DRIFT), ("rotated-key", "another-secret")
    with server.run():
        Provisioner(server.settings).provision(None, timeout_seconds=10)
    server.set_keys(Role.DRIFT, *new)
    with server.run():
        put_probes(server.settings)
        assert try_access(connect(server.settings, *new), server.settings) == list_grants(
            Role.DRIFT
        )
        with pytest.raises(S3Error, match="InvalidAccessKeyId"):
            next(connect(server.settings, *former).list_objects(server.settings.models_bucket))


def test_it_is_ready_only_when_objects_can_be_read_and_written(tmp_path: Path) -> None:
    server = prepare(tmp_path)
    store = ObjectStore(server.settings.model_copy(update={"s3_retries": 0}))
    bucket = server.settings.data_bucket
    with server.run():
        store.make_buckets()
        store.put(bucket, "first", b"first", "text/plain")
    with server.run() as process:
        assert store.get(bucket, "first") == b"first"
        store.put(bucket, "second", b"second", "text/plain")
        os.kill(process, signal.SIGKILL)
    with server.run():
        assert store.get(bucket, "second") == b"second"
