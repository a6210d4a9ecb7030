"""VOTable, ECSV and IPAC tables: as astropy reads them, and nothing that they refer to."""

import gzip
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy import units
from astropy.table import MaskedColumn, Table

from skyclass.errors import CatalogError
from skyclass.tables.files import in_memory, open_table
from tests.support.files import read_all

FORMATS = {"a.vot": "votable", "a.xml": "votable", "a.ecsv": "ascii.ecsv", "a.tbl": "ascii.ipac"}
VOTABLE = """<?xml version="1.0"?>
<VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE>
<TABLE name="stars"><FIELD name="r" datatype="double" unit="mag" ucd="phot.mag;em.opt.R">
<DESCRIPTION>Model magnitude</DESCRIPTION></FIELD>
<DATA><TABLEDATA><TR><TD>19.5</TD></TR></TABLEDATA></DATA></TABLE>
</RESOURCE></VOTABLE>"""


def write(folder: Path, content: str | bytes, name: str = "a.vot") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(path: Path, hdu: str | None = None) -> pa.Table:
    return read_all(open_table(str(path), path.name, hdu=hdu))


@pytest.mark.parametrize("name", FORMATS)
def test_values_and_units_are_those_that_astropy_wrote(name: str, tmp_path: Path) -> None:
    table = Table(
        {
            "id": np.array([2**62, -7, 0]),
            "r": MaskedColumn([19.5, 20.25, 0.0], mask=[False, False, True], unit=units.mag),
            "name": MaskedColumn(["ab", "c d", ""], mask=[False, False, True]),
        }
    )
    table.write(tmp_path / name, format=FORMATS[name])
    rows = read(tmp_path / name)
    assert rows["id"].to_pylist() == [2**62, -7, 0]
    assert rows["r"].to_pylist() == [19.5, 20.25, None]
    assert rows["name"].to_pylist()[:2] == ["ab", "c d"]
    assert rows.schema.field("r").metadata[b"unit"] == b"mag"


@pytest.mark.parametrize("name", ["a.vot", "a.ecsv"])
def test_vectors_and_logicals_keep_their_types(name: str, tmp_path: Path) -> None:
    table = Table({"mags": np.arange(10.0).reshape(2, 5), "ok": [True, False]})
    table.write(tmp_path / name, format=FORMATS[name])
    rows = read(tmp_path / name)
    assert rows.schema.types == [pa.list_(pa.float64(), 5), pa.bool_()]
    assert rows.to_pydict() == {"mags": table["mags"].tolist(), "ok": [True, False]}


def test_schema_of_a_votable_has_ucds_and_descriptions(tmp_path: Path) -> None:
    schema = read(write(tmp_path, VOTABLE)).schema
    assert schema.metadata[b"name"] == b"stars"
    assert schema.field("r").metadata == {
        b"unit": b"mag",
        b"ucd": b"phot.mag;em.opt.R",
        b"description": b"Model magnitude",
    }


def test_a_table_of_a_votable_is_chosen_by_its_number_or_name(tmp_path: Path) -> None:
    table = re.search("<TABLE .*</TABLE>", VOTABLE, re.DOTALL)[0]
    second = table.replace("stars", "quasars").replace("19.5", "20.5")
    path = write(tmp_path, VOTABLE.replace(table, table + second))
    assert read(path)["r"].to_pylist() == [19.5]
    assert read(path, "2")["r"].to_pylist() == read(path, "quasars")["r"].to_pylist() == [20.5]
    with pytest.raises(CatalogError, match=r"no table '3': choose a table \(1 \(stars\), 2 \(quas"):
        read(path, "3")


def test_a_compressed_table_is_read(tmp_path: Path) -> None:
    assert read(write(tmp_path, gzip.compress(VOTABLE.encode()), "a.vot.gz")).num_rows == 1


ENTITIES = '<!DOCTYPE VOTABLE [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
EXTERNAL = '<!DOCTYPE VOTABLE [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
STREAM = "<BINARY><STREAM {}>AAAA</STREAM></BINARY>"
DATA = re.search("<TABLEDATA>.*</TABLEDATA>", VOTABLE)[0]
HOSTILE = {
    "entities": VOTABLE.replace("?>", f"?>{ENTITIES}", 1).replace("19.5", "&b;"),
    "external": VOTABLE.replace("?>", f"?>{EXTERNAL}", 1).replace("19.5", "&a;"),
    "utf16": VOTABLE.replace("?>", f"?>{ENTITIES}", 1).encode("utf-16"),
    "href": VOTABLE.replace(DATA, STREAM.format('href="file:///etc/hostname"')),
    "gzip": VOTABLE.replace(DATA, STREAM.format('encoding="gzip"')),
    "rows": VOTABLE.replace("<TABLE ", '<TABLE nrows="99999999999999" '),
    "array": VOTABLE.replace('datatype="d', 'arraysize="99999999999999" datatype="d'),
    "failed": VOTABLE.replace(
        "<TABLE ", '<INFO name="QUERY_STATUS" value="ERROR">no such\ncolumn</INFO><TABLE ', 1
    ),
}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.vot", HOSTILE["entities"], "the XML declares the entity a: remove it"),
        ("a.vot", HOSTILE["external"], "the XML declares the entity a: remove it"),
        ("a.vot", HOSTILE["utf16"], "the XML declares the entity a: remove it"),
        ("a.vot", HOSTILE["href"], "the data are not in the file"),
        ("a.vot", HOSTILE["gzip"], "the data are not in the file"),
        ("a.vot", HOSTILE["rows"], "more than 268435456 values"),
        ("a.vot", HOSTILE["array"], "more than 268435456 values"),
        ("a.vot", HOSTILE["failed"], r"reported an error \(no such column\): repeat the query"),
        ("a.vot", VOTABLE[:-20], "not readable as VOTable"),
        ("a.vot", "<VOTABLE></VOTABLE>", "no table in the file"),
        ("a.vot", VOTABLE.replace(' name="r"', ""), "not readable as VOTable"),
        ("a.vot", re.sub("<TR>.*</TR>", "", VOTABLE), "no rows"),
        ("a.ecsv", "r,i\n1,2\n", "not readable as ECSV"),
        ("a.ecsv", b"# %ECSV 1.0\n\xff", "not readable as ECSV"),
        ("a.tbl", "r i\n1 2\n", "not readable as IPAC"),
    ],
)
def test_a_malformed_or_hostile_table_is_one_error(
    name: str, content: str | bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(CatalogError, match=message) as error:
        read(write(tmp_path, content, name))
    assert str(error.value).startswith(f"{name}: ")
    assert "\n" not in str(error.value)


def test_a_size_above_the_limit_is_an_error_even_if_it_is_compressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_memory, "MAX_BYTES", 2 << 20)
    bomb = gzip.compress(VOTABLE.replace("19.5", " " * (3 << 20)).encode())
    with pytest.raises(CatalogError, match=r"more than 2 MiB .*: convert the file to FITS or Parq"):
        read(write(tmp_path, bomb, "a.vot.gz"))
