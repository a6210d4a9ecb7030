import sys
from pathlib import Path

import pytest
from minio import Minio

from skyclass.admin import provision
from skyclass.admin.provision import Provisioner
from skyclass.errors import StoreError
from skyclass.settings import Settings


def test_creates_versioned_buckets_and_is_idempotent(settings: Settings) -> None:
    assert Provisioner(settings).provision(None, timeout_seconds=0) == []
    assert Provisioner(settings).provision(None, timeout_seconds=0) == []

    client = Minio(
        settings.endpoint_url.removeprefix("http://"),
        settings.access_key_id,
        settings.secret_access_key.get_secret_value(),
        secure=False,
    )
    days = {}
    for bucket in settings.buckets:
        assert client.get_bucket_versioning(bucket).status == "Enabled"
        lifecycle = client.get_bucket_lifecycle(bucket)
        for rule in lifecycle.rules if lifecycle else ():
            assert rule.noncurrent_version_expiration is not None
            days[bucket] = rule.noncurrent_version_expiration.noncurrent_days
    data, _, logs, reports = settings.buckets
    assert days == {data: 30, logs: 30, reports: 30}


def test_rejects_identities_on_a_store_that_is_not_minio(
    settings: Settings, tmp_path: Path
) -> None:
    keys = tmp_path / "drift"
    keys.mkdir()
    (keys / "AWS_ACCESS_KEY_ID").write_text("drift")
    (keys / "AWS_SECRET_ACCESS_KEY").write_text("a-secret-of-some-length\n")

    message = r"rejected the identity of role drift \(NoSuchBucket\): check that it is MinIO"
    with pytest.raises(StoreError, match=message):
        Provisioner(settings).provision(tmp_path, timeout_seconds=0)


def test_reports_an_unreachable_store(settings: Settings) -> None:
    unreachable = settings.model_copy(
        update={"endpoint_url": "http://127.0.0.1:9", "s3_retries": 0}
    )

    with pytest.raises(StoreError, match="is unreachable"):
        Provisioner(unreachable).provision(None, timeout_seconds=0)


@pytest.mark.parametrize("option", ["--timeout", "--patience"])
def test_accepts_the_former_name_of_the_timeout(
    option: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeouts: list[float] = []
    monkeypatch.setattr(provision, "load_settings", lambda: settings)
    monkeypatch.setattr(
        Provisioner, "provision", lambda self, identities, timeout: timeouts.append(timeout)
    )
    for arguments in ([option, "5"], []):
        monkeypatch.setattr(sys, "argv", ["provision", *arguments])
        provision.main()
    assert timeouts == [5.0, 600.0]
