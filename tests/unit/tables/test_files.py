"""Users' tables in files: read by position and unchanged, or rejected in one line."""

import bz2
import gzip
import lzma
import zipfile
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skyclass.errors import CatalogError
from skyclass.tables.files import find_columns, open_table

HEADER = "u,g,r,i,z,redshift"
ROW = "19.6,18.4,17.3,16.9,16.5,0.2"
NAMES = HEADER.split(",")


def read(path: Path, encoding: str | None = None) -> list[list[object]]:
    """Return the columns of a file, with all of its rows."""
    file = open_table(str(path), path.name, encoding=encoding)
    chunks = list(file.read(range(len(file.header)), 100))
    return [
        [value for chunk in chunks for value in chunk.columns[position].to_pylist()]
        for position in range(len(file.header))
    ]


def write(folder: Path, content: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def zipped(data: bytes) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("folder/a.csv", data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.csv", f"{HEADER}\n{ROW}\n", id="comma"),
        pytest.param("a.CSV", f"{HEADER}\n{ROW}\n", id="suffix in capitals"),
        pytest.param("a.csv", f"{HEADER}\n{ROW}", id="no line end"),
        pytest.param("a.csv", f"{HEADER}\r\n{ROW}\r\n", id="Windows line ends"),
        pytest.param("a.csv", f"{HEADER}\r{ROW}\r", id="old Macintosh line ends"),
        pytest.param("a.csv", f"\ufeff{HEADER}\n{ROW}\n", id="byte order mark"),
        pytest.param("a.csv", f"#Table1\n{HEADER}\n{ROW}\n", id="SkyServer's comment"),
        pytest.param("a.csv", f"\n# one\n# two\n{HEADER}\n\n{ROW}\n", id="comments, empty lines"),
        pytest.param("a.csv", f"{HEADER}\n{ROW}\n".replace(",", ";"), id="semicolon"),
        pytest.param("a.tsv", f"{HEADER}\n{ROW}\n".replace(",", "\t"), id="tab"),
        pytest.param("a.txt", f"{HEADER}\n{ROW}\n".replace(",", "|"), id="vertical bar"),
        pytest.param("a.csv", f"{HEADER}\n{ROW}\n".replace(",", " , "), id="spaces around"),
        pytest.param("a.csv", f"{HEADER}\n{ROW}\n".encode("utf-16"), id="UTF-16"),
        pytest.param(
            "a.csv", b"\xfe\xff" + f"{HEADER}\n{ROW}\n".encode("utf-16-be"), id="UTF-16 big endian"
        ),
        pytest.param("a.csv.gz", gzip.compress(f"{HEADER}\n{ROW}\n".encode()), id="gzip"),
        pytest.param("a.csv.bz2", bz2.compress(f"{HEADER}\n{ROW}\n".encode()), id="bzip2"),
        pytest.param("a.csv.xz", lzma.compress(f"{HEADER}\n{ROW}\n".encode()), id="xz"),
        pytest.param("a.csv.zip", zipped(f"{HEADER}\n{ROW}\n".encode()), id="zip"),
    ],
)
def test_every_text_format_has_the_same_columns(
    name: str, content: str | bytes, tmp_path: Path
) -> None:
    path = write(tmp_path, content, name)
    assert open_table(str(path), name).header == tuple(NAMES)
    assert [str(value).strip() for (value,) in read(path)] == ROW.split(",")


def test_text_is_returned_byte_for_byte(tmp_path: Path) -> None:
    values = ["1237648720693755918", "000756", " padded ", "1.50", "", "NaN", "null", "TRUE", "ÅÄ"]
    quoted = ['"a,b"', '"he said ""no"""', '"two\nlines"', "2020-01-01"]
    content = f"{','.join('abcdefghijklm')}\n{','.join(values + quoted)}\n"
    expected = [*values, "a,b", 'he said "no"', "two\nlines", "2020-01-01"]
    assert read(write(tmp_path, content)) == [[value] for value in expected]


def test_latin_1_is_read_where_it_is_declared(tmp_path: Path) -> None:
    path = write(tmp_path, f"{HEADER},name\n{ROW},Sjöström\n".encode("latin-1"))
    assert read(path, "latin-1")[-1] == ["Sjöström"]
    with pytest.raises(CatalogError, match=r"a\.csv: not text .*: declare its encoding"):
        read(path)
    with pytest.raises(CatalogError, match=r"a\.csv: unknown encoding 'klingon': use for example"):
        read(path, "klingon")


def test_parquet_is_read_with_its_types_and_without_an_unnamed_index(tmp_path: Path) -> None:
    stored = pa.table(
        {
            "__index_level_0__": pa.array([7, 7], pa.int64()),
            "objid": pa.array([2**63 - 1, None], pa.int64()),
            "u": pa.array([19.5, 20.0]),
        }
    )
    pq.write_table(stored, tmp_path / "a.PARQUET")
    file = open_table(str(tmp_path / "a.PARQUET"), "a.PARQUET")
    assert file.header == ("objid", "u")
    assert read(tmp_path / "a.PARQUET") == [[2**63 - 1, None], [19.5, 20.0]]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_columns_are_read_by_position_in_any_order(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    table = pa.table([["1", "2"], ["3", "4"], ["5", "6"]], ["x", "y", "x"])
    if suffix == "csv":
        path.write_text("x,y,x\n1,3,5\n2,4,6\n")
    else:
        pq.write_table(table, path)
    file = open_table(str(path), path.name)
    (chunk,) = file.read([2, 0], 100)
    assert [column.to_pylist() for column in chunk.columns] == [["5", "6"], ["1", "2"]]


def test_first_line_with_other_fields_than_the_header_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, f"#Table1\n{HEADER}\n" + f"{ROW},\n" * 3)
    with pytest.raises(CatalogError, match=r"a\.csv: line 3 has 7 fields, the header 6"):
        read(path)
    path = write(tmp_path, f'{HEADER}\n"1\n\n",2,3,4,5,6\n\n{ROW}\n1,2\n')
    with pytest.raises(CatalogError, match=r"a\.csv: line 7 has 2 fields, the header 6"):
        read(path)


def test_a_row_is_named_as_an_editor_counts_it(tmp_path: Path) -> None:
    path = write(tmp_path, f'# a comment\n{HEADER}\n"1\n1",2,3,4,5,6\n\n{ROW}\n{ROW}\n')
    file = open_table(str(path), "a.csv")
    assert [file.locate(row) for row in range(3)] == ["line 3", "line 6", "line 7"]


def test_empty_columns_are_ignored_and_a_duplicate_counts_where_it_is_needed(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, f"{HEADER},name,name,,\n{ROW},a,b,,\n")
    file = open_table(str(path), "a.csv")
    assert find_columns(file, NAMES) == {name: at for at, name in enumerate(NAMES)}
    assert read(path)[-4:] == [["a"], ["b"], [""], [""]]
    file = open_table(str(write(tmp_path, f"{HEADER},u\n{ROW},1\n")), "a.csv")
    with pytest.raises(CatalogError, match=r"a\.csv: duplicate column u: rename or remove one"):
        find_columns(file, NAMES)


@pytest.mark.parametrize("theirs", ["fiberID", "fiberid", "fiber_ID", "fiber_id"])
def test_columns_have_the_aliases_of_all_dialects(theirs: str, tmp_path: Path) -> None:
    file = open_table(str(write(tmp_path, f"MJD,{theirs},objID\n1,2,3\n")), "a.csv")
    found = find_columns(file, ["mjd", "fiber_id"], ["source_id"])
    assert found == {"mjd": 0, "fiber_id": 1, "source_id": 2}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "the file is empty"),
        ("a.csv", "#Table1\n", "the file is empty"),
        ("a.csv", "u^g^r^i^z\n1^2^3^4^5\n", r"separated by '\^': separate them by one of comma"),
        ("a.csv", "u g r i z\n1 2 3 4 5\n", "separated by ' '"),
        ("a", "u\n1\n", "unsupported suffix ''"),
        ("a.gz", "u\n1\n", "unsupported suffix"),
        ("a.parquet.gz", "u\n1\n", "unsupported suffix"),
        ("a.csv.gz", "u,g\n", "not readable as text"),
        pytest.param("a.csv.zip", zipped(b"u\n1\n")[:-30], "not readable as text", id="zip"),
        pytest.param("a.csv.xz", lzma.compress(b"u\n1\n")[:-9], "not readable as text", id="xz"),
    ],
)
def test_a_file_that_is_no_table_is_one_error(
    name: str, content: str | bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(CatalogError, match=message) as error:
        read(write(tmp_path, content, name))
    assert str(error.value).startswith(f"{name}: ")
    assert "\n" not in str(error.value)


def test_an_archive_of_two_files_is_one_error(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.csv.zip", "w") as archive:
        archive.writestr("a.csv", "u\n1\n")
        archive.writestr("b.csv", "u\n1\n")
    with pytest.raises(CatalogError, match="the archive has 2 files, expected one: extract it"):
        read(tmp_path / "a.csv.zip")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no such file: check the path"):
        open_table(str(tmp_path), "a")
