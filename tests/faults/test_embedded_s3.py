"""The embedded S3 server keeps acknowledged objects, and protects its credentials."""

import os
import signal
import threading
from pathlib import Path

import pytest
from pydantic import SecretStr

from skyclass.errors import SkyclassError, StoreError
from skyclass.local.s3_server import Access, EmbeddedS3
from skyclass.settings import S3_ENV_FILE, Settings
from skyclass.storage.s3 import ObjectStore
from tests.support.faults.history import History


def connect(access: Access) -> ObjectStore:
    return ObjectStore(
        Settings(
            AWS_ENDPOINT_URL=access.endpoint_url,
            AWS_ACCESS_KEY_ID=access.access_key_id,
            AWS_SECRET_ACCESS_KEY=SecretStr(access.secret_access_key),
            s3_retries=0,
            s3_connect_seconds=1,
        )
    )


@pytest.mark.fault("store-down-during-upload")
def test_a_kill_under_load_loses_no_acknowledged_object(tmp_path: Path, history: History) -> None:
    server = EmbeddedS3(tmp_path)
    acknowledged: dict[str, bytes] = {}
    errors: list[StoreError] = []

    def write_until_error(store: ObjectStore, writer: int) -> None:
        for number in range(100_000):
            key, data = f"{writer}/{number}", os.urandom(20_000)
            history.attempt(key)
            try:
                store.put("skyclass-data", key, data, "application/octet-stream")
            except StoreError as error:
                errors.append(error)
                return
            acknowledged[key] = data

    with server as access:
        store = connect(access)
        store.make_buckets()
        writers = [threading.Thread(target=write_until_error, args=(store, n)) for n in range(4)]
        for writer in writers:
            writer.start()
        while len(acknowledged) < 200:
            writers[0].join(0.01)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        for writer in writers:
            writer.join()
        assert len(errors) == 4, "the writers ended before the kill"
        history.fire(str(errors[0]))
    history.acknowledge(*acknowledged)

    with history.recovery():
        access = server.__enter__()
    try:
        store = connect(access)
        history.find(store.list_keys("skyclass-data", ""))
        for key, data in acknowledged.items():
            assert store.get("skyclass-data", key) == data
    finally:
        server.__exit__(None, None, None)


def test_files_with_credentials_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    with EmbeddedS3(tmp_path):
        for file in (tmp_path / S3_ENV_FILE, tmp_path / "s3" / "identities.json"):
            assert file.stat().st_mode & 0o077 == 0
    assert not (tmp_path / S3_ENV_FILE).exists()


def test_a_port_in_use_is_one_error(tmp_path: Path) -> None:
    with EmbeddedS3(tmp_path / "one") as access:
        port = int(access.endpoint_url.rsplit(":", 1)[1])
        with pytest.raises(SkyclassError, match=f"port {port} is in use"):
            EmbeddedS3(tmp_path / "two", port).__enter__()
