"""Options of delta-rs: credentials, timeouts and proxies of the object store."""

from skyclass.proxies import find_proxy, get_host
from skyclass.settings import Settings
from skyclass.urls import omit_credentials


def make_storage_options(settings: Settings) -> dict[str, str]:
    """Return the storage options of delta-rs, with the same timeouts as the S3 client."""
    retry_seconds = (settings.s3_retries + 1) * (
        settings.s3_connect_seconds + settings.s3_read_seconds
    )
    return {
        "AWS_ENDPOINT_URL": omit_credentials(settings.endpoint_url),  # quoted in errors
        "AWS_ACCESS_KEY_ID": settings.access_key_id,
        "AWS_SECRET_ACCESS_KEY": settings.secret_access_key.get_secret_value(),
        "AWS_REGION": settings.region,
        "AWS_ALLOW_HTTP": "true",
        "connect_timeout": f"{settings.s3_connect_seconds}s",
        "timeout": f"{settings.s3_read_seconds}s",
        "max_retries": str(settings.s3_retries),
        "retry_timeout": f"{retry_seconds}s",
        **_make_proxy_options(settings.endpoint_url),
    }


def _make_proxy_options(endpoint_url: str) -> dict[str, str]:
    """Return options that replace delta-rs's own choice, in which loopback has a proxy."""
    proxy = find_proxy(endpoint_url)
    if proxy:
        return {"proxy_url": proxy}
    return {"proxy_url": "http://unused.invalid", "proxy_excludes": get_host(endpoint_url)}
