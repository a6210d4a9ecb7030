"""The store that version 0.1.0 has written: `tests/data/v0.1.0`."""

from pathlib import Path

from skyclass.storage.s3 import ObjectStore

STORED = Path(__file__).resolve().parents[1] / "data/v0.1.0"


def load_stored(store: ObjectStore) -> None:
    """Put all objects into the buckets of a store."""
    settings = store.settings
    for kind in ("data", "models", "logs", "reports"):
        bucket = getattr(settings, f"{kind}_bucket")
        for path in sorted((STORED / kind).rglob("*")):
            if path.is_file():
                store.put(bucket, path.relative_to(STORED / kind).as_posix(), path.read_bytes(), "")
