"""A command line with a store of its own, and releases to show."""

from pathlib import Path

import numpy as np
import pytest

from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import REPORT, Release
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import CLASSES
from skyclass.training.evaluation import evaluate
from tests.support.command_line import CommandLine
from tests.support.releases import draft


@pytest.fixture
def command_line(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> CommandLine:
    return CommandLine(monkeypatch, capsys)


@pytest.fixture
def published(store: ObjectStore, tmp_path: Path) -> list[Release]:
    """Two releases, one promoted after the other."""
    champions, releases = LocalChampionStore(store), []
    right = np.eye(len(CLASSES))
    judged = evaluate(np.array(CLASSES, object), right, Mode.SPECTROSCOPIC, "random_holdout")
    manifest = draft(Mode.SPECTROSCOPIC, metrics={judged.split: judged})
    for number in range(2):
        (tmp_path / REPORT).write_text(f"report {number}")
        releases.append(champions.registry.publish(manifest, {REPORT: tmp_path / REPORT}))
        champions.promote(releases[-1], "for a test", "test")
    return releases
