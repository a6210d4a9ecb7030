"""A corpus of users' tables, and how each part of skyclass reads one.

`python -m tests.support.corpus` writes the corpus to tests/data/tables.
"""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from astropy.table import Table

from skyclass.ingest.validation import validate_rows
from skyclass.scoring.chunks import read_chunks
from skyclass.scoring.inputs import open_input
from skyclass.settings import Settings
from skyclass.sources import FileSource
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import KEY
from skyclass.tables.files.fits_hdus import BLOCK_BYTES
from skyclass.tables.objects import read_objects
from skyclass.training.reports.exploration import read_sample

FOLDER = Path(__file__).resolve().parents[1] / "data/tables"
COLUMNS = (*KEY, *INPUTS[Mode.SPECTROSCOPIC])

Objects = list[tuple[float, ...]]
"""Key and inputs of each object, in the order of the file."""

HEADER = "plate,mjd,fiber_id,alpha,delta,u,g,r,i,z,redshift,class"
ROWS = (
    "267,51608,286,147.1655486,-0.891313,21.21101,18.92085,17.65245,17.1453,16.75657,0.1674231,"
    "GALAXY",
    "4567,55589,7,10.5,40.25,19.622,18.48,17.381,16.909,16.56,2.35,QSO",
    "9999,58000,999,359.999,-89.5,15.0,14.5,14.25,14.125,14.0,-0.0003,STAR",
)
OBJECTS: Objects = [
    (267, 51608, 286, 21.21101, 18.92085, 17.65245, 17.1453, 16.75657, 0.1674231),
    (4567, 55589, 7, 19.622, 18.48, 17.381, 16.909, 16.56, 2.35),
    (9999, 58000, 999, 15.0, 14.5, 14.25, 14.125, 14.0, -0.0003),
]
"""The objects of every readable file of the corpus."""


def read_for_predict(path: Path, settings: Settings) -> Objects:
    """Read a file as `skyclass predict` and the prediction page do."""
    inputs = read_objects(path, INPUTS[Mode.SPECTROSCOPIC]).inputs
    return list(inputs.reindex(columns=COLUMNS).itertuples(index=False, name=None))


def read_for_score(path: Path, settings: Settings) -> Objects:
    """Read a file as `skyclass score` does."""
    source = open_input(settings, str(path))
    chunks = [
        chunk
        for piece in source.pieces
        for chunk in read_chunks(source, piece, Mode.SPECTROSCOPIC, 0)
    ]
    return _to_objects(pa.concat_tables(chunks))


def read_for_ingest(path: Path, settings: Settings) -> Objects:
    """Read a file as `skyclass ingest` does; its quarantine takes invalid rows."""
    batches = list(FileSource(path, str(path)).read_batches(0))
    return _to_objects(pa.concat_tables([validate_rows(batch.rows).valid for batch in batches]))


def read_for_eda(path: Path, settings: Settings) -> Objects:
    """Read a file as `skyclass eda` does."""
    sample = read_sample(FileSource(path, str(path))).rows.sort_values("plate")
    return list(sample[list(COLUMNS)].itertuples(index=False, name=None))


READERS: dict[str, Callable[[Path, Settings], Objects]] = {
    "predict": read_for_predict,
    "score": read_for_score,
    "ingest": read_for_ingest,
    "eda": read_for_eda,
}


def _to_objects(rows: pa.Table) -> Objects:
    columns = (pc.cast(rows[name], pa.float64()).to_pylist() for name in COLUMNS)
    return list(zip(*columns, strict=True))


def make_corpus() -> dict[str, bytes]:
    """Return the content of each file by its name; those named `bad-…` are rejected."""
    text = "\n".join([HEADER, *ROWS]) + "\n"
    sdss17 = text.replace("mjd", "MJD").replace("fiber_id", "fiber_ID")
    skyserver = text.replace("fiber_id", "fiberID").replace("alpha", "ra").replace("delta", "dec")
    files = {
        "plain.csv": text,
        "capitals.CSV": text,
        "crlf.csv": text.replace("\n", "\r\n"),
        "bom.csv": "\ufeff" + text,
        "utf16.csv": text.encode("utf-16"),
        "semicolon.csv": text.replace(",", ";"),
        "tab.tsv": text.replace(",", "\t"),
        "spaces.csv": text.replace(",", ", "),
        "skyserver.csv": "#Table1\n" + skyserver,
        "sdss17.csv": sdss17,
        "excel.csv": text.replace("\n", ",,,\n"),
        "duplicate-names.csv": "".join(f"{line},name,name\n" for line in text.splitlines()),
        "quoted.csv": '"' + text.replace(",", '","').replace("\n", '"\n"').removesuffix('"'),
        "gzip.csv.gz": gzip.compress(text.encode(), mtime=0),
        "bzip2.csv.bz2": bz2.compress(text.encode()),
        "xz.csv.xz": lzma.compress(text.encode()),
        "zip.csv.zip": _zip(text),
        "bad-trailing-comma.csv": text.replace("\n", ",\n").replace(",\n", "\n", 1),
        "bad-separator.csv": text.replace(",", "^"),
        "bad-no-u.csv": text.replace(",u,", ",w,"),
        "bad-duplicate-u.csv": text.replace("\n", ",1\n").replace("class,1", "class,u"),
        "bad-latin1.csv": ("#Sjöström\n" + text).encode("latin-1"),
        "bad-empty.csv": "",
        "bad-z-is-the-redshift.csv": text.replace(",z,redshift,", ",w,z,"),
        "bad-header-only.csv": HEADER + "\n",
        "bad-suffix.xls": text,
        "bad-truncated.csv.gz": gzip.compress(text.encode(), mtime=0)[:-12],
    }
    frame = pd.read_csv(io.StringIO(text))
    frames = {
        "plain.parquet": frame,
        "repeated-index.parquet": frame.set_index(pd.Index([5, 5, 5])),
        "named-index.parquet": frame.set_index("plate"),
        "text.parquet": frame.astype(str),
        "decimal.parquet": frame.assign(
            **{name: frame[name].map(lambda value: Decimal(str(value))) for name in "ugriz"}
        ),
        "categories.parquet": frame.assign(**{"class": frame["class"].astype("category")}),
    }
    stored = {name: _to_parquet(pa.Table.from_pandas(each)) for name, each in frames.items()}
    whole = stored["plain.parquet"]
    tables = _write_with_astropy(frame)
    return {
        **{name: each.encode() if isinstance(each, str) else each for name, each in files.items()},
        **stored,
        "bad-truncated.parquet": whole[: len(whole) // 2],
        **tables,
        "gzip.fits.gz": gzip.compress(tables["plain.fits"], mtime=0),
        "bad-truncated.fits": tables["plain.fits"][: 50 - BLOCK_BYTES],
        "bad-no-table.fits": tables["plain.fits"][:BLOCK_BYTES],
        "bad-no-u.fits": tables["plain.fits"].replace(b"'u  ", b"'w  ", 1),
        "bad-truncated.vot": tables["plain.vot"][:-50],
        "bad-header.ecsv": tables["plain.ecsv"].replace(b"%ECSV", b"%CSVE"),
    }


def _write_with_astropy(frame: pd.DataFrame) -> dict[str, bytes]:
    table = Table.from_pandas(frame)
    formats = {"plain.fits": "fits", "plain.vot": "votable", "binary.xml": "votable"}
    formats |= {"plain.ecsv": "ascii.ecsv", "plain.tbl": "ascii.ipac"}
    contents = {}
    for name, kind in formats.items():
        buffer = io.BytesIO()
        options = {"tabledata_format": "binary2"} if name == "binary.xml" else {}
        text = io.StringIO() if kind.startswith("ascii") else None
        table.write(text or buffer, format=kind, **options)
        contents[name] = text.getvalue().encode() if text else buffer.getvalue()
    return contents


def _zip(text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("plain.csv"), text)  # without the current time
    return buffer.getvalue()


def _to_parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in make_corpus().items():
        (FOLDER / name).write_bytes(content)
