"""CSV and Parquet files of observations: the rows that are read from them, and the errors."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from skyclass.errors import CatalogError
from skyclass.ingest.validation import validate_rows
from skyclass.sources import Batch, FileSource, Source, files
from skyclass.survey.observation import CLASSES
from skyclass.tables.files import Options, text
from tests.support.rows import ROW, frame, table

SDSS17 = (
    "obj_ID,alpha,delta,u,g,r,i,z,run_ID,rerun_ID,cam_col,field_ID,spec_obj_ID,class,redshift,"
    "plate,MJD,fiber_ID\n"
    "1.23766e+18,147.1655486,-0.891313,21.21101,18.92085,17.65245,17.1453,16.75657,756,301,1,209,"
    "3.00726e+17,GALAXY,0.1674231,267,51608,286\n"
)
DR14 = (
    "objid,ra,dec,u,g,r,i,z,run,rerun,camcol,field,specobjid,class,redshift,plate,mjd,fiberid\n"
    "1.23766e+18,147.1655486,-0.891313,21.21101,18.92085,17.65245,17.1453,16.75657,756,301,1,209,"
    "3.00726e+17,GALAXY,0.1674231,267,51608,286\n"
)
SKYSERVER = (
    "#Table1\n"
    "plate,mjd,fiberID,ra,dec,u,g,r,i,z,redshift,class\n"
    "267,51608,286,147.1655486,-0.891313,21.21101,18.92085,17.65245,17.1453,16.75657,0.1674231,"
    "GALAXY\n"
)
TABLE_NAMES = (
    "class,redshift,z,i,r,g,u,delta,alpha,fiber_id,mjd,plate\n"
    "GALAXY,0.1674231,16.75657,17.1453,17.65245,18.92085,21.21101,-0.891313,147.1655486,286,51608,"
    "267\n"
)


def make_csv(*lines: str) -> str:
    """Return a CSV file with the column names of the observations table.

    Args:
        lines: Fibre, u and class of each row, separated by spaces; a line without a space is
            written unchanged.
    """
    header = "plate,mjd,fiber_id,alpha,delta,u,g,r,i,z,redshift,class\n"
    row = "267,51608,{},147.1,-0.8,{},18.9,17.6,17.1,16.7,0.167,{}\n"
    return header + "".join(
        row.format(*line.split()) if " " in line else f"{line}\n" for line in lines
    )


def open_file(folder: Path, content: str | bytes, name: str = "a.csv") -> Source:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return FileSource(path, str(path))


def read_only_batch(source: Source) -> Batch:
    [batch] = source.read_batches(0)
    return batch


@pytest.mark.parametrize(
    ("content", "release"),
    [
        pytest.param(SDSS17, "DR17", id="Kaggle SDSS17"),
        pytest.param(DR14, "DR14", id="Kaggle DR14"),
        pytest.param(SKYSERVER, "DR17", id="SkyServer"),
        pytest.param(TABLE_NAMES, "UNKNOWN", id="names of the table, in another order"),
        pytest.param(
            TABLE_NAMES.replace("plate", "plate,release").replace("267\n", "267,SIMULATED\n"),
            "SIMULATED",
            id="names of the table, with the release",
        ),
        pytest.param("\ufeff" + SDSS17, "DR17", id="byte order mark"),
        pytest.param("\ufeff" + SKYSERVER, "DR17", id="byte order mark before #Table1"),
        pytest.param(SKYSERVER.replace("\n", "\r\n"), "DR17", id="Windows line ends"),
    ],
)
def test_every_dialect_is_read_as_the_same_observation(
    content: str, release: str, tmp_path: Path
) -> None:
    source = open_file(tmp_path, content)
    checked = validate_rows(read_only_batch(source).rows)
    assert checked.valid.to_pylist() == [{**ROW, "delta": -0.891313, "release": release}]


def test_the_real_sample_is_read_completely(real_rows: Path) -> None:
    source = FileSource(real_rows, str(real_rows))
    checked = validate_rows(read_only_batch(source).rows)
    assert pc.unique(checked.valid["release"]).to_pylist() == ["DR17"]
    assert checked.rejected.num_rows == checked.not_measured == 0
    counts = checked.valid["class"].to_pandas().value_counts()
    assert [counts[name] for name in CLASSES] == [11_889, 3_792, 4_319]


def test_malformed_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    batch = read_only_batch(
        open_file(tmp_path, make_csv("1 21.2 STAR", "malformed,line", "2 21.2 QSO"))
    )
    assert batch.rows["fiber_id"].to_pylist() == ["1", "2"]
    assert batch.malformed == ("2 fields, expected 12",)


def test_a_file_with_only_malformed_lines_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="line 2 has 2 fields, the header 12: correct it"):
        read_only_batch(open_file(tmp_path, make_csv("malformed,line", "another")))


def test_batches_do_not_depend_on_the_number_of_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BATCH_ROWS", 10)
    monkeypatch.setattr(text, "BLOCK_BYTES", 500)
    source = open_file(tmp_path, make_csv(*["1 21.2 STAR", "malformed,line"] * 200))

    def read(cores: int) -> list[tuple[int, int]]:
        pa.set_cpu_count(cores)
        return [(batch.position, len(batch.malformed)) for batch in source.read_batches(0)]

    cores = pa.cpu_count()
    single_core, many_cores = read(1), read(8)
    pa.set_cpu_count(cores)
    assert single_core == many_cores
    assert single_core[-1][0] == 400
    assert sum(malformed for _, malformed in single_core) == 200


def test_null_texts_are_missing_values(tmp_path: Path) -> None:
    content = make_csv("1 NULL STAR", "2 nan STAR", "3 null STAR")
    assert (
        validate_rows(read_only_batch(open_file(tmp_path, content)).rows).valid["u"].null_count == 3
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "the file is empty"),
        ("a.csv", make_csv(), "no rows below the header"),
        ("a.csv", "<!DOCTYPE html>\n<html>\n<p>Maintenance</p>\n</html>\n", "no known dialect"),
        ("a.csv", "error_message\nMaximum 60 queries\n", "found columns error_message"),
        ("a.csv", make_csv("1 21.2 ST\xc4R").encode("latin-1"), "not text .*declare its encoding"),
        ("a.xls", make_csv("1 21.2 STAR"), "unsupported suffix '.xls'"),
        ("a.parquet", make_csv("1 21.2 STAR"), "not readable as Parquet"),
        ("a.parquet", b"PAR1" + bytes(100) + b"\x08\0\0\0PAR1", "not readable as Parquet"),
    ],
)
def test_a_file_without_observations_is_rejected_in_one_line(
    name: str, content: str | bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(CatalogError, match=message) as error:
        list(open_file(tmp_path, content, name).read_batches(0))
    assert str(tmp_path / name) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"nowhere\.csv: no such file: check the path"):
        FileSource(tmp_path / "nowhere.csv", "nowhere.csv")


def test_parquet_is_read_as_the_same_rows_as_csv(tmp_path: Path) -> None:
    rows = frame({}, {}, {}).infer_objects().assign(**{"class": ["GALAXY", "QSO", None]})
    rows.to_parquet(tmp_path / "a.parquet")
    batch = read_only_batch(FileSource(tmp_path / "a.parquet", "a.parquet"))
    expected = table({}, {"class": "QSO"}, {"class": None})
    assert validate_rows(batch.rows).valid.equals(validate_rows(expected).valid)


@pytest.mark.parametrize("codes", [[0, 2, None], ["0", "2", ""], [0.0, 2.0, None]], ids=str)
def test_class_codes_are_decoded_only_if_their_meaning_is_given(
    codes: list[object], tmp_path: Path
) -> None:
    rows = frame({}, {}, {}).infer_objects().assign(**{"class": codes})
    rows.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(CatalogError, match=r"a\.parquet: the classes are the numbers 0"):
        read_only_batch(FileSource(tmp_path / "a.parquet", "a.parquet"))
    options = Options(classes="GALAXY,STAR,QSO")
    batch = read_only_batch(FileSource(tmp_path / "a.parquet", "a.parquet", options))
    assert batch.rows["class"].to_pylist() == ["GALAXY", "QSO", None]
    assert batch.coded_classes == 2


@pytest.mark.parametrize("classes", ["GALAXY,STAR", "GALAXY,STAR,STAR", "a,b,c"])
def test_a_malformed_meaning_of_the_codes_is_rejected(classes: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(make_csv("1 21.2 0"))
    with pytest.raises(CatalogError, match=f"a.csv: classes is '{classes}', expected GALAXY, QSO"):
        FileSource(path, "a.csv", Options(classes=classes))


def test_reading_resumes_after_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BATCH_ROWS", 2)
    frame(*[{}] * 5).infer_objects().to_parquet(tmp_path / "a.parquet")
    source = FileSource(tmp_path / "a.parquet", "a.parquet")
    assert [batch.position for batch in source.read_batches(0)] == [2, 4, 5]
    assert [batch.rows["fiber_id"].to_pylist() for batch in source.read_batches(2)] == [[3, 4], [5]]
    assert list(source.read_batches(5)) == []


def test_a_changed_file_has_another_watermark_id(tmp_path: Path) -> None:
    before = open_file(tmp_path, make_csv("1 21.2 STAR")).watermark_id
    assert open_file(tmp_path, make_csv("1 21.2 STAR", "2 21.2 STAR")).watermark_id != before
