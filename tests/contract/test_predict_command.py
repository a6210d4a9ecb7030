"""`skyclass predict` classifies CSV and Parquet files, and reports errors in one line."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from skyclass.survey.features import INPUTS, Mode
from skyclass.tables.prediction_log import PROBABILITIES
from tests.support.command_line import CommandLine, CommandResult
from tests.support.predictor import ServerProcess, Site, publish, serving, simulated

Predict = Callable[..., CommandResult]

MODE = Mode.PHOTOMETRIC
ADDED = ["predicted", *PROBABILITIES, "model_version", "flags"]


@pytest.fixture(scope="module")
def server(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("release")
    release = publish(site, folder / "files", MODE, seed=0)
    address = f"s3://{site.settings.models_bucket}/{release.prefix}"
    with serving(site, MODE, address, folder / "log") as server:
        yield server


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    table = simulated(1200)[list(INPUTS[MODE])].reset_index(drop=True).assign(name="an object")
    table.to_csv(tmp_path / "objects.csv", index=False)
    table.to_parquet(tmp_path / "objects.parquet", index=False)
    return table


@pytest.fixture
def predict(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Predict:
    command_line = CommandLine(monkeypatch, capsys)
    options = ("--mode", str(MODE), "--url", server.url)
    return lambda *arguments: command_line.run("predict", *options, *map(str, arguments))


def read(file: Path) -> pd.DataFrame:
    return pd.read_csv(file) if file.suffix == ".csv" else pd.read_parquet(file)


@pytest.mark.parametrize(("given", "wanted"), [("csv", "parquet"), ("parquet", "csv")])
def test_predictions_are_added_to_the_rows(
    predict: Predict, table: pd.DataFrame, tmp_path: Path, given: str, wanted: str
) -> None:
    output = tmp_path / f"predictions.{wanted}"
    done = predict(tmp_path / f"objects.{given}", "-o", output)
    assert (done.status, done.out) == (0, ""), done.err
    assert "1,200 objects classified" in done.err
    predictions = read(output)
    assert list(predictions.columns) == [*table.columns, *ADDED]
    pd.testing.assert_frame_equal(predictions[list(table.columns)], table)
    assert set(predictions["predicted"]) <= {"GALAXY", "QSO", "STAR"}


def test_errors_are_one_line(predict: Predict, table: pd.DataFrame, tmp_path: Path) -> None:
    table.loc[7, "g"] = -9999
    table.to_csv(tmp_path / "objects.csv", index=False)
    done = predict(tmp_path / "objects.csv")
    assert (done.status, done.out) == (1, "")
    assert done.err.splitlines()[-1].endswith("row 7: g was not measured (-9999)")
    assert predict(tmp_path / "objects.csv", "-o", tmp_path / "a.txt").status == 2
