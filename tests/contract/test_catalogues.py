"""Catalogues in, catalogues with predictions out: `skyclass predict`, `Client.classify_table`."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits, votable
from astropy.table import Column, MaskedColumn, QTable, Table

from skyclass.client import Client
from skyclass.errors import CatalogError, ServingError
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import CLASSES
from skyclass.tables.log.schema import PROBABILITIES
from tests.support.command_line import CommandLine, CommandResult
from tests.support.predictor import ServerProcess, simulated

pytestmark = pytest.mark.slow

MODE = Mode.PHOTOMETRIC
ADDED = ["predicted", *PROBABILITIES, "model_version", "flags", "out_of_domain"]
ROWS = 20


@pytest.fixture
def client(server: ServerProcess) -> Client:
    return Client(server.url, MODE)


@pytest.fixture
def predict(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., CommandResult]:
    command_line = CommandLine(monkeypatch, capsys)
    options = ("--mode", str(MODE), "--url", server.url)
    return lambda *arguments: command_line.run("predict", *options, *map(str, arguments))


@pytest.fixture
def table() -> Table:
    """Magnitudes beside columns of other types, with masked values."""
    rows = simulated(ROWS).reset_index(drop=True)
    found = Table({name: Column(rows[name], unit="mag") for name in INPUTS[MODE]})
    found["objid"] = np.arange(ROWS) + 1237648720693755918
    found["n_obs"] = MaskedColumn(np.arange(ROWS, dtype=np.int16), mask=np.arange(ROWS) == 3)
    found["is_good"] = np.arange(ROWS) % 2 == 0
    found["aperture"] = np.arange(ROWS * 3.0).reshape(ROWS, 3)
    found["w1mag"] = MaskedColumn(np.full(ROWS, 15.0), mask=np.arange(ROWS) > 9, unit="mag")
    found["name"] = [f"object {row}" for row in range(ROWS)]
    found["r"].description = "Model magnitude"
    found.meta["SURVEY"] = "SDSS"
    return found


def read(path: Path) -> Table:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Table.read(path)


def to_lists(column: Any) -> Any:
    """Return values with masked ones and NaN as None, and bytes as text."""
    text = column.astype(str) if column.dtype.kind in "SUO" else column
    plain = np.ma.masked_invalid(text) if column.dtype.kind == "f" else text
    return plain.tolist()


@pytest.mark.parametrize("wanted", [".fits", ".vot", ".ecsv"])
@pytest.mark.parametrize("given", [".fits", ".vot", ".ecsv"])
def test_any_format_comes_back_in_any_other(
    predict: Callable[..., CommandResult], table: Table, tmp_path: Path, given: str, wanted: str
) -> None:
    origin, target = tmp_path / f"objects{given}", tmp_path / f"classified{wanted}"
    formats = {".fits": "fits", ".vot": "votable", ".ecsv": "ascii.ecsv"}
    table.write(origin, format=formats[given])
    done = predict(origin, "-o", target)
    assert done.status == 0, done.err
    found = read(target)
    for name in table.colnames:
        assert to_lists(found[name]) == to_lists(table[name]), name
        assert found[name].unit == table[name].unit
    assert set(to_lists(found["predicted"])) <= set(CLASSES)
    assert found.colnames[: len(table.colnames)] == table.colnames
    assert found["objid"].dtype.kind == "i"
    assert "out_of_domain" not in found.colnames  # the release has no domain


def test_predictions_are_described_in_a_votable(
    predict: Callable[..., CommandResult], client: Client, table: Table, tmp_path: Path
) -> None:
    table.write(tmp_path / "objects.fits")
    assert predict(tmp_path / "objects.fits", "-o", tmp_path / "a.vot").status == 0
    assert votable.validate(tmp_path / "a.vot", output=None)
    found = votable.parse_single_table(tmp_path / "a.vot")
    fields = {field.name: field for field in found.fields}
    assert fields["p_QSO"].ucd == "stat.probability;src.class"
    assert all(fields[name].description for name in ADDED[:-1])
    facts = {each.name: each.value for each in found.params}
    assert facts["model_release"] == client.model_version()
    assert facts["SURVEY"] == "SDSS"


def test_texts_become_numbers_in_a_catalogue(
    predict: Callable[..., CommandResult], tmp_path: Path
) -> None:
    rows = ["objid,run,u,g,r,i,z,note", "1237648720693755918,000756,19.6,18.4,17.3,16.9,16.5,"]
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n")
    assert predict(tmp_path / "a.csv", "-o", tmp_path / "a.fits").status == 0
    found = read(tmp_path / "a.fits")
    assert found["objid"].tolist() == [1237648720693755918]
    assert found["run"].astype(str).tolist() == ["000756"]
    assert found["u"].dtype.kind == "f"


def test_what_the_output_cannot_hold_is_one_error_before_any_request(
    predict: Callable[..., CommandResult], table: Table, tmp_path: Path
) -> None:
    table["größe"] = 1
    table.write(tmp_path / "a.ecsv")
    arguments = (tmp_path / "a.ecsv", "--url", "http://127.0.0.1:9")
    done = predict(*arguments, "-o", tmp_path / "a.fits")
    assert done.status == 1
    assert "a.ecsv: column 'größe' has a name that FITS cannot hold" in done.err
    assert not (tmp_path / "a.fits").exists()
    done = predict(*arguments, "-o", tmp_path / "a.vot", "--prefix", "größe")
    assert "unreachable" in done.err


def test_a_file_of_casjobs_becomes_fits(
    predict: Callable[..., CommandResult], real_data: Path, tmp_path: Path
) -> None:
    origin, target = real_data / "formats/casjobs_mydb.csv", tmp_path / "a.fits"
    done = predict(origin, "-o", target)
    assert done.status == 0, done.err
    found = read(target)
    given = Table.read(origin, format="ascii.csv")
    for column in given.colnames:
        assert to_lists(found[column]) == to_lists(given[column]), column
    with fits.open(target, checksum=True) as hdus:
        assert hdus[1].verify_checksum() == 1


def test_a_table_comes_back_with_predictions(client: Client, table: Table) -> None:
    names = table.colnames.copy()
    found = client.classify_table(table)
    assert type(found) is Table
    assert found.colnames == [*names, *ADDED, "groups"]
    assert table.colnames == names
    expected = client.classify(table[list(INPUTS[MODE])].to_pandas())
    assert found["predicted"].tolist() == expected["predicted"].tolist()
    assert np.asarray(found["p_QSO"]).tolist() == expected["p_QSO"].tolist()
    assert found["p_QSO"].description == "Probability of class QSO"
    assert found.meta["model_release"] == client.model_version()
    assert found.meta["SURVEY"] == "SDSS"


def test_a_table_of_quantities_keeps_its_class_and_coordinates(
    client: Client, table: Table
) -> None:
    quantities = QTable(table)
    angles = np.full(ROWS, 12.0) * units.hourangle
    quantities["where"] = SkyCoord(angles, np.zeros(ROWS) * units.deg)
    quantities["ra"], quantities["dec"] = angles, np.zeros(ROWS) * units.rad
    found = client.classify_table(quantities)
    assert type(found) is QTable
    assert found["r"].unit == units.mag
    assert isinstance(found["where"], SkyCoord)
    assert found["predicted"].tolist() == client.classify_table(table)["predicted"].tolist()


def test_columns_of_a_table_are_named(client: Client, table: Table) -> None:
    renamed = table.copy()
    renamed.rename_column("z", "my_z")
    with pytest.raises(CatalogError, match="table: missing column z"):
        client.classify_table(renamed)
    found = client.classify_table(renamed, columns={"z": "my_z"})
    assert found["predicted"].tolist() == client.classify_table(table)["predicted"].tolist()


def test_mistakes_in_a_table_name_it(client: Client, table: Table) -> None:
    table["g"][7] = -9999
    with pytest.raises(ServingError, match="table, row 8: g was not measured"):
        client.classify_table(table)
    with pytest.raises(CatalogError, match="table: no rows"):
        client.classify_table(table[:0])
    table["g"].unit = "nmgy"
    with pytest.raises(CatalogError, match="column g has unit 'nmgy', expected magnitudes"):
        client.classify_table(table)
    table["predicted"] = "mine"
    table["g"] = table["r"]
    with pytest.raises(CatalogError, match="column predicted has the name of a prediction"):
        client.classify_table(table)
