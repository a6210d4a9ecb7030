from pathlib import Path

import pytest

from skyclass.errors import SkyclassError
from skyclass.local.demo_data import load_demo_data
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.rows import frame

FEW = frame(*[{"plate": number} for number in range(1, 301)]).to_csv(index=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("", "the file is empty", id="empty file"),
        pytest.param("a,b\n1,2\n", "no known dialect", id="unknown columns"),
        pytest.param(FEW, "0 early and 300 late objects", id="too few rows"),
    ],
)
def test_an_unusable_source_is_rejected_with_its_reason(
    content: str, message: str, store: ObjectStore, tmp_path: Path
) -> None:
    source = tmp_path / "mine.csv"
    source.write_text(content)
    with pytest.raises(SkyclassError, match=message):
        load_demo_data(str(source), Mode.SPECTROSCOPIC, store)
