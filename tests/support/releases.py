"""Releases made by hand for the tests: a manifest, and files that are no models."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from skyclass.registry import releases
from skyclass.registry.libraries import get_library_versions
from skyclass.registry.manifest import Manifest, OnnxParity, TrainingSet
from skyclass.registry.verdicts import GateVerdict
from skyclass.survey.features import FEATURES, INPUTS, Mode
from skyclass.survey.observation import CLASSES

FILES = (releases.JOBLIB_MODEL, releases.ONNX_MODEL, releases.REFERENCE, releases.REPORT)


def draft(mode: Mode = Mode.PHOTOMETRIC, **changes: Any) -> Manifest:
    """A manifest as training hands it to the registry, its files not yet listed."""
    manifest = Manifest(
        mode=mode,
        candidate="forest",
        inputs=INPUTS[mode],
        features=FEATURES[mode],
        classes=CLASSES,
        libraries=get_library_versions(),
        training_set=TrainingSet(
            table="s3://skyclass-data/observations",
            version=1,
            rows=1000,
            first_mjd=51_608,
            watermark=55_008,
            synthetic_rows=0,
        ),
        metrics={},
        parity=OnnxParity(passed=False, reason="not made by a training"),
        gate=GateVerdict(passed=True, reason="first of its mode", challenger_macro_f1=0.9, rows=9),
        parent=None,
        run_id="test",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        files=(),
    )
    return manifest.model_copy(update=changes)


def write_files(folder: Path) -> dict[str, Path]:
    """Files to publish, each with other content."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).write_bytes(f"the bytes of {name}".encode() * 10)
    return {name: folder / name for name in FILES}
