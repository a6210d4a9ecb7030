from pathlib import Path

import pytest
from minio import Minio

from skyclass.admin.provision import Provisioner
from skyclass.errors import StoreError
from skyclass.settings import Settings


def test_buckets_are_made_once_and_keep_every_version(settings: Settings) -> None:
    assert Provisioner(settings).prepare(None, patience_seconds=0) == []
    assert Provisioner(settings).prepare(None, patience_seconds=0) == []

    client = Minio(
        settings.endpoint_url.removeprefix("http://"),
        settings.access_key_id,
        settings.secret_access_key.get_secret_value(),
        secure=False,
    )
    for bucket in settings.buckets:
        assert client.get_bucket_versioning(bucket).status == "Enabled"


def test_identities_on_a_store_that_is_no_minio_are_refused_in_words(
    settings: Settings, tmp_path: Path
) -> None:
    keys = tmp_path / "drift"
    keys.mkdir()
    (keys / "AWS_ACCESS_KEY_ID").write_text("drift")
    (keys / "AWS_SECRET_ACCESS_KEY").write_text("a-secret-of-some-length\n")

    with pytest.raises(StoreError, match=r"role drift was refused \(NoSuchBucket\): is this MinIO"):
        Provisioner(settings).prepare(tmp_path, patience_seconds=0)


def test_a_store_that_stays_away_is_said_in_one_line(settings: Settings) -> None:
    away = settings.model_copy(update={"endpoint_url": "http://127.0.0.1:9", "s3_retries": 0})

    with pytest.raises(StoreError, match="is unreachable"):
        Provisioner(away).prepare(None, patience_seconds=0)
