"""Settings for tests that run other processes."""

from pathlib import Path
from uuid import uuid4

from skyclass.local.s3_server import Access


def make_environment(s3: Access, home: Path) -> dict[str, str]:
    """Return settings with new names of buckets, as environment variables."""
    name = f"t-{uuid4().hex[:12]}"
    return {
        **s3.environment(),
        "SKYCLASS_HOME": str(home),
        "SKYCLASS_DATA_BUCKET": f"{name}-data",
        "SKYCLASS_MODELS_BUCKET": f"{name}-models",
        "SKYCLASS_LOGS_BUCKET": f"{name}-logs",
        "SKYCLASS_REPORTS_BUCKET": f"{name}-reports",
    }
