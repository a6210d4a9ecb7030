"""TOPCAT and STILTS read catalogues: their library STIL finds the same columns, facts and rows.

`mvn dependency:get -Dartifact=uk.ac.starlink:stil:4.1.4` downloads it.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest

from skyclass.tables.catalogue.columns import describe_field
from skyclass.tables.catalogue.rows import Rows, summarise
from skyclass.tables.catalogue.write import write_catalogue

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).resolve().parents[1] / "clients/stil/ReadTable.java"
REPOSITORY = Path.home() / ".m2/repository/uk/ac/starlink/stil"
SECONDS = 60

COLUMNS = {
    "source_id": pa.array([1237648720693755918, None]),
    "plate": pa.array([266, 7], pa.int32()),
    "r": pa.array([17.5, None]),
    "predicted": pa.array(["GALAXY", "QSO"]),
    "out_of_domain": pa.array([True, False]),
}


@pytest.fixture(scope="module")
def jar() -> Path:
    jars = sorted(REPOSITORY.glob("*/stil-*.jar"))
    if not jars or not shutil.which("java"):
        pytest.skip(f"no java, or no stil in {REPOSITORY}")
    return jars[-1]


@pytest.mark.parametrize("suffix", [".fits", ".vot"])
def test_stil_reads_columns_facts_and_rows(suffix: str, jar: Path, tmp_path: Path) -> None:
    fields = [describe_field(name, column.type) for name, column in COLUMNS.items()]
    meta = json.dumps({"model_release": "ab" * 32})
    schema = pa.schema(fields, {"name": "sample", "meta": meta})
    rows = Rows.from_table(pa.table(list(COLUMNS.values()), schema=schema))
    target = tmp_path / f"a{suffix}"
    write_catalogue(rows, summarise(rows), target, target, "a")
    command = ["java", "-cp", str(jar), str(PROGRAM), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    found = {line[1]: tuple(line[2:]) for line in lines if line[0] == "column"}
    assert found["r"] == ("Double", "mag", "phot.mag;em.opt.R", "Model magnitude in r")
    assert [kind for kind, *_ in found.values()] == [
        *("Long", "Integer", "Double", "String", "Boolean")
    ]
    facts = {line[1]: line[2] for line in lines if line[0] == "fact"}
    assert facts["MODELREL" if suffix == ".fits" else "model_release"] == "ab" * 32
    assert [line[1:] for line in lines if line[0] == "row"] == [
        ["1237648720693755918", "266", "17.5", "GALAXY", "true"],
        ["", "7", "NaN", "QSO", "false"],
    ]
