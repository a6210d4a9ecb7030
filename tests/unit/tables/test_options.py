"""Options behind the address of a file: the table, the columns, the encoding."""

import gzip
from pathlib import Path

import pytest
from astropy.io import fits
from astropy.table import Table

from skyclass.errors import CatalogError
from skyclass.scoring.chunks import read_chunks
from skyclass.scoring.inputs import open_input
from skyclass.settings import Settings
from skyclass.sources import open_source
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import MAGNITUDES, Mode
from skyclass.tables.files import split_options
from skyclass.tables.objects import read_objects
from tests.support.rows import frame
from tests.support.web import Response, Web

OPTIONS = "hdu=2&z=psfMag_z&redshift=z"


def write_tables(path: Path) -> Path:
    """Write a FITS file whose second table has objects, with a key and a class."""
    rows = frame({"fiber_id": 1}, {"fiber_id": 2}).infer_objects()
    rows = rows.drop(columns="release", errors="ignore").assign(
        psfMag_z=rows["z"], z=rows["redshift"]
    )
    first = fits.BinTableHDU.from_columns([fits.Column("run", "J", array=[756])])
    second = fits.table_to_hdu(Table.from_pandas(rows.drop(columns="redshift")))
    fits.HDUList([fits.PrimaryHDU(), first, second]).writeto(path)
    return path


@pytest.mark.parametrize(
    ("uri", "address", "columns"),
    [
        ("a.fits?z=psfMag_z", "a.fits", {"z": "psfMag_z"}),
        ("s3://b/a.fits?z=zmag&w1=W1", "s3://b/a.fits", {"z": "zmag", "w1": "W1"}),
        ("https://h/get?z=1&type=fits", "https://h/get?z=1&type=fits", {}),
        ("https://h/get?u=1#u=psfMag_u", "https://h/get?u=1", {"u": "psfMag_u"}),
    ],
)
def test_columns_are_split_from_an_address(uri: str, address: str, columns: dict[str, str]) -> None:
    found, options = split_options(uri)
    assert (found, options.columns) == (address, columns)


def test_a_misspelt_option_of_a_url_is_an_error() -> None:
    with pytest.raises(CatalogError, match="unknown option hdo=2: write for example #hdu=2"):
        split_options("https://h/a.fits#hdo=2")


def test_a_misspelt_option_of_a_file_is_an_error(tmp_path: Path) -> None:
    path = write_tables(tmp_path / "a.fits")
    with pytest.raises(CatalogError, match=r"unknown option hdo=2: write for example \?hdu=2"):
        split_options(f"{path}?z=psfMag_z&hdo=2")


def test_a_file_whose_name_has_a_question_mark_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.csv?z=1.csv"
    path.write_text("u,g,r,i,z\n19.5,19.0,18.5,18.0,17.5\n")
    assert len(read_objects(path, MAGNITUDES).inputs) == 1


def test_all_commands_take_the_table_and_the_columns(
    settings: Settings, store: ObjectStore, tmp_path: Path
) -> None:
    uri = f"{write_tables(tmp_path / 'a.fits')}?{OPTIONS}"
    [batch] = open_source(uri, store).read_batches(0)
    objects = read_objects(uri, [*MAGNITUDES, "redshift"])
    source = open_input(settings, uri)
    [scored] = read_chunks(source, source.pieces[0], Mode.SPECTROSCOPIC, 0)
    for name in (*MAGNITUDES, "redshift"):
        expected = batch.rows[name].to_pylist()
        assert objects.inputs[name].tolist() == scored[name].to_pylist() == expected
    assert batch.rows["z"].to_pylist() == frame({}, {})["z"].tolist()
    assert batch.rows["class"].to_pylist() == ["GALAXY", "GALAXY"]


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz"])
def test_a_table_of_the_object_store_is_read_where_it_is(
    suffix: str, settings: Settings, store: ObjectStore, tmp_path: Path
) -> None:
    content = write_tables(tmp_path / "a.fits").read_bytes()
    data = gzip.compress(content) if suffix.endswith(".gz") else content
    store.put(settings.data_bucket, f"a{suffix}", data, "application/fits")
    uri = f"s3://{settings.data_bucket}/a{suffix}?{OPTIONS}"
    source = open_input(settings, uri)
    [scored] = read_chunks(source, source.pieces[0], Mode.SPECTROSCOPIC, 0)
    [batch] = open_source(uri, store).read_batches(0)
    assert scored["fiber_id"].to_pylist() == batch.rows["fiber_id"].to_pylist() == [1, 2]


def test_a_table_of_a_web_server_is_downloaded(
    web: Web, settings: Settings, tmp_path: Path
) -> None:
    web.responses = [Response(write_tables(tmp_path / "a.fits").read_bytes())]
    source = open_source(f"{web.url}/a.fits?hdu=7#{OPTIONS}", ObjectStore(settings))
    [batch] = source.read_batches(0)
    assert batch.rows["fiber_id"].to_pylist() == [1, 2]


def test_another_table_or_column_of_a_file_is_another_input(
    settings: Settings, tmp_path: Path
) -> None:
    path = write_tables(tmp_path / "a.fits")
    uris = [f"{path}{options}" for options in ("", "?hdu=2", "?hdu=2&z=psfMag_z")]
    assert len({open_input(settings, uri).pieces[0].id for uri in uris}) == len(uris)
