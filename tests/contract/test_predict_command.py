"""`skyclass predict` classifies CSV and Parquet files, and reports errors in one line."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from skyclass.survey.features import INPUTS, Mode
from skyclass.tables.prediction_log import PROBABILITIES
from tests.support.predictor import ServerProcess, Site, publish, serving, simulated

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


def predict(server: ServerProcess, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "skyclass", "predict", "--mode", MODE, "--url", server.url]
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, env=os.environ
    )


def read(file: Path) -> pd.DataFrame:
    return pd.read_csv(file) if file.suffix == ".csv" else pd.read_parquet(file)


@pytest.mark.parametrize(("given", "wanted"), [("csv", "parquet"), ("parquet", "csv")])
def test_predictions_are_added_to_the_rows(
    server: ServerProcess, table: pd.DataFrame, tmp_path: Path, given: str, wanted: str
) -> None:
    output = tmp_path / f"predictions.{wanted}"
    done = predict(server, tmp_path / f"objects.{given}", "-o", output)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "1,200 objects classified" in done.stderr
    predictions = read(output)
    assert list(predictions.columns) == [*table.columns, *ADDED]
    pd.testing.assert_frame_equal(predictions[list(table.columns)], table)
    assert set(predictions["predicted"]) <= {"GALAXY", "QSO", "STAR"}


def test_errors_are_one_line(server: ServerProcess, table: pd.DataFrame, tmp_path: Path) -> None:
    table.loc[7, "g"] = -9999
    table.to_csv(tmp_path / "objects.csv", index=False)
    done = predict(server, tmp_path / "objects.csv")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].endswith("row 7: g was not measured (-9999)")
    assert predict(server, tmp_path / "objects.csv", "-o", tmp_path / "a.txt").returncode == 2
