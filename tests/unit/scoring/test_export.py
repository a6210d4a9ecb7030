"""A catalogue has the predictions of a release, described so that it can be published."""

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy.io import fits, votable
from astropy.io.votable.dataorigin import extract_data_origin
from astropy.table import Table

from skyclass.errors import CatalogError
from skyclass.ingest.job import ingest
from skyclass.registry.releases import Registry, Release
from skyclass.scoring.catalogue_facts import Publication
from skyclass.scoring.export import EXPORT_SUFFIXES, export_predictions
from skyclass.scoring.inputs import open_input
from skyclass.scoring.score import score
from skyclass.sources import open_source
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import CLASSES
from skyclass.tables.files import open_table
from skyclass.tables.observations import ObservationsTable
from tests.support.command_line import CommandLine
from tests.support.predictor import simulated
from tests.support.releases import draft
from tests.support.scoring import publish_tree, read_predictions

ROWS = 50


@pytest.fixture
def objects(tmp_path: Path) -> pd.DataFrame:
    """Objects with spectra, some without a label."""
    rows = simulated(ROWS).reset_index(drop=True)
    rows.loc[:4, "class"] = None
    rows.to_parquet(tmp_path / "objects.parquet", index=False)
    return rows


@pytest.fixture
def scored(objects: pd.DataFrame, store: ObjectStore, release: Release, tmp_path: Path) -> Release:
    score(store.settings, open_input(store.settings, str(tmp_path / "objects.parquet")), release)
    return release


def read_with_astropy(path: Path) -> Table:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if path.suffix == ".parquet":
            return Table.from_pandas(pq.read_table(path).to_pandas())
        return Table.read(path)


@pytest.mark.parametrize("suffix", [".fits", ".vot", ".ecsv", ".parquet"])
def test_a_catalogue_has_all_predictions_and_their_checksum(
    suffix: str, scored: Release, store: ObjectStore, tmp_path: Path
) -> None:
    target = tmp_path / f"catalogue{suffix}"
    result = export_predictions(store.settings, scored, target)
    found = read_with_astropy(target).to_pandas().sort_values(["plate", "mjd", "fiber_id"])
    expected = read_predictions(store.settings, scored)
    assert (result.rows, result.columns) == found.shape
    assert "source_id" not in found.columns  # no object has one
    for name in found.columns:
        values = found[name].map(lambda each: each.decode() if isinstance(each, bytes) else each)
        values = values.where(values.notna() & (values != ""), None)
        assert values.tolist() == expected[name].where(expected[name].notna(), None).tolist()
    if suffix == ".fits":
        with fits.open(target, checksum=True) as hdus:
            assert [hdu.verify_checksum() for hdu in hdus] == [1, 1]
    else:
        digest = hashlib.sha256(target.read_bytes()).hexdigest()
        assert result.checksum
        assert Path(result.checksum).read_text() == f"{digest}  catalogue{suffix}\n"


def test_a_votable_is_valid_and_describes_itself(
    scored: Release, store: ObjectStore, tmp_path: Path
) -> None:
    target = tmp_path / "catalogue.vot"
    publication = Publication("Ada Lovelace", "CC-BY-4.0", "DR17")
    export_predictions(store.settings, scored, target, publication)
    assert votable.validate(target, output=None), votable.validate(target)
    table = votable.parse_single_table(target)
    facts = {each.name: each.value for each in table.params}
    assert facts["model_release"] == scored.id
    assert facts["data_release"] == "DR17"
    assert facts["row_count"] == ROWS
    assert "acknowledgement" in facts
    (origin,) = extract_data_origin(votable.parse(target)).origin
    assert (origin.creator, origin.rights) == (["Ada Lovelace"], ["CC-BY-4.0"])
    assert origin.publication_date
    assert origin.is_derived_from == ["2022ApJS..259...35A"]
    read = json.loads(open_table(str(target), target.name).schema.metadata[b"meta"])
    assert (read["creator"], read["row_count"]) == ("Ada Lovelace", ROWS)
    assert all(field.description and field.ucd for field in table.fields)
    units = {field.name: str(field.unit) for field in table.fields if field.unit}
    assert (units["u"], units["mjd"]) == ("mag", "d")


def test_data_release_and_metrics_are_those_of_the_release(
    objects: pd.DataFrame, store: ObjectStore, table: ObservationsTable, tmp_path: Path
) -> None:
    version = ingest(open_source("simulated:?rows=60", store), table, store).version
    simulated_rows = {"rows": 60, "synthetic_rows": 60}
    training_set = draft().training_set.model_copy(
        update={"table": table.uri, "version": version, **simulated_rows}
    )
    published = publish_tree(store, tmp_path / "tree", Mode.PHOTOMETRIC)
    manifest = published.manifest.model_copy(update={"training_set": training_set})
    release = Registry(store).publish(
        manifest, {each.path: tmp_path / "tree" / each.path for each in manifest.files}
    )
    source = str(tmp_path / "objects.parquet")
    score(store.settings, open_input(store.settings, source), release)
    target = tmp_path / "catalogue.fits"
    export_predictions(store.settings, release, target, source=source)
    header: Any = fits.getheader(target, 1)
    assert header["DATAREL"] == "SIMULATED"
    assert "simulated" in header["NOTE"]
    assert "ACKNOWL" not in header
    assert header["MODELREL"] == release.id
    assert header["SOURCE"] == source
    with pytest.raises(CatalogError, match=r"no predictions for elsewhere\.csv: choose one of /"):
        export_predictions(store.settings, release, target, source="elsewhere.csv")


def test_a_release_without_predictions_is_one_error(
    scored: Release, store: ObjectStore, tmp_path: Path
) -> None:
    other = publish_tree(store, tmp_path / "other", Mode.SPECTROSCOPIC, seed=1)
    with pytest.raises(CatalogError, match=f"release {other.id[:12]} has no predictions: score"):
        export_predictions(store.settings, other, tmp_path / "a.fits")
    with pytest.raises(CatalogError, match="there is no folder"):
        export_predictions(store.settings, scored, tmp_path / "nowhere/a.fits")


def test_the_command_exports_the_champion(
    scored: Release,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command_line = CommandLine(monkeypatch, capsys)
    target = tmp_path / "catalogue.ecsv"
    result = command_line.run("export", "-o", str(target), "--author", "Ada", "--json")
    assert result.status == 0, result.err
    assert json.loads(result.out)["release"] == scored.id
    assert Table.read(target).meta["creator"] == "Ada"
    assert set(Table.read(target)["predicted"]) <= set(CLASSES)
    refused = command_line.run("export", "-o", str(tmp_path / "a.csv"))
    assert refused.status == 2
    assert EXPORT_SUFFIXES[0] in refused.err
