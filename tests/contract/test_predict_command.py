"""`skyclass predict` classifies CSV and Parquet files, and reports errors in one line."""

import csv
import io
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skyclass.client import Client
from skyclass.survey.features import INPUTS, Mode
from skyclass.tables.log.schema import PROBABILITIES
from tests.support.command_line import CommandLine, CommandResult
from tests.support.predictor import ServerProcess, simulated

pytestmark = pytest.mark.slow

Predict = Callable[..., CommandResult]

MODE = Mode.PHOTOMETRIC
ADDED = ["predicted", *PROBABILITIES, "model_version", "flags", "out_of_domain"]


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
    assert done.err.splitlines()[-1].endswith("objects.csv, line 9: g was not measured (-9999)")
    assert predict(tmp_path / "objects.csv", "-o", tmp_path / "a.txt").status == 2


HEADER = "run,u,g,r,i,z,name"
ROW = "000756,19.622,18.48,17.381,16.909,16.56,1237648720693755918"


def classify(predict: Predict, path: Path, content: str | bytes, *options: str) -> list[list[str]]:
    """Return the records of the CSV that `predict` prints for a file."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    done = predict(path, *options)
    assert done.status == 0, done.err
    return list(csv.reader(done.out.splitlines()))


def fail(predict: Predict, path: Path, content: str | bytes, *options: str) -> str:
    """Return the error that `predict` prints for a file."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    done = predict(path, *options)
    assert (done.status, done.out) == (1, "")
    (line,) = [line for line in done.err.splitlines() if line.startswith("error:")]
    assert "Traceback" not in done.err
    return line.removeprefix("error: ")


def test_unknown_columns_are_returned_byte_for_byte(predict: Predict, tmp_path: Path) -> None:
    without_name = ROW.replace("1237648720693755918", "")
    header, *rows = classify(predict, tmp_path / "a.csv", f"{HEADER}\n{ROW}\n{without_name}\n")
    assert header == [*HEADER.split(","), *ADDED]
    assert [row[:7] for row in rows] == [ROW.split(","), without_name.split(",")]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(f"#Table1\n{HEADER}\n{ROW}\n", id="SkyServer's comment"),
        pytest.param(f"{HEADER}\n{ROW}\n".replace(",", ";"), id="semicolons"),
        pytest.param(f"{HEADER}\n{ROW}\n".encode("utf-16"), id="UTF-16"),
    ],
)
def test_text_of_any_format_is_classified(
    predict: Predict, tmp_path: Path, content: str | bytes
) -> None:
    (_, row) = classify(predict, tmp_path / "a.csv", content)
    assert row[:7] == ROW.split(",")


def test_latin_1_is_declared(predict: Predict, tmp_path: Path) -> None:
    content = f"{HEADER}\n{ROW.replace('1237648720693755918', 'Sjöström')}\n".encode("latin-1")
    assert "declare its encoding" in fail(predict, tmp_path / "a.csv", content)
    (_, row) = classify(predict, tmp_path / "a.csv", content, "--encoding", "latin-1")
    assert row[6] == "Sjöström"


def test_rows_of_a_repeated_index_keep_their_order(
    predict: Predict, table: pd.DataFrame, tmp_path: Path
) -> None:
    six = table.head(6).set_index(pd.Index([0, 1, 2, 0, 1, 2]))
    six.to_parquet(tmp_path / "a.parquet")
    table.head(6).to_csv(tmp_path / "a.csv", index=False)
    assert predict(tmp_path / "a.parquet", "-o", tmp_path / "b.parquet").status == 0
    assert predict(tmp_path / "a.csv", "-o", tmp_path / "c.parquet").status == 0
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "b.parquet"), pd.read_parquet(tmp_path / "c.parquet")
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(f"{HEADER}\n{ROW},\n", "line 2 has 8 fields, the header 7", id="comma at end"),
        pytest.param(
            "\n".join([HEADER, *[ROW] * 15, ROW.replace("19.622", "19,5"), ROW]),
            "line 17 has 8 fields",
            id="decimal comma",
        ),
        pytest.param(
            "\n".join([HEADER, *[ROW] * 15, ROW.replace("19.622", '"19,5"'), ROW]),
            "a.csv, line 17: u is '19,5', expected a number",
            id="quoted decimal comma",
        ),
        pytest.param(f"{HEADER},flags\n{ROW},x\n", "column flags has the name of", id="flags"),
        pytest.param(
            f"{HEADER}\n{ROW}\n".replace(",", "^"), "separated by '^'", id="unknown separator"
        ),
    ],
)
def test_a_table_that_cannot_be_classified_is_one_error(
    predict: Predict, tmp_path: Path, content: str, message: str
) -> None:
    assert message in fail(predict, tmp_path / "a.csv", content)


def test_predictions_are_renamed_with_a_prefix(predict: Predict, tmp_path: Path) -> None:
    content = f"{HEADER},flags\n{ROW},mine\n"
    header, row = classify(predict, tmp_path / "a.csv", content, "--prefix", "sky_")
    assert header[7:] == ["flags", *(f"sky_{name}" for name in ADDED)]
    assert row[7] == "mine"


def test_a_type_that_csv_cannot_hold_is_one_error_before_any_request(
    predict: Predict, table: pd.DataFrame, tmp_path: Path
) -> None:
    table.head(2).assign(spectrum=[[1, 2], [3]]).to_parquet(tmp_path / "a.parquet")
    done = predict(tmp_path / "a.parquet", "--url", "http://127.0.0.1:9")
    assert "column spectrum has type list<" in done.err
    assert predict(tmp_path / "a.parquet", "-o", tmp_path / "b.parquet").status == 0


@pytest.mark.parametrize("output", ["nowhere/a.csv", "a.parquet/b.csv"])
def test_an_output_that_cannot_be_written_is_one_error_before_any_request(
    predict: Predict, tmp_path: Path, output: str
) -> None:
    (tmp_path / "a.csv").write_text(f"{HEADER}\n{ROW}\n")
    done = predict(tmp_path / "a.csv", "--url", "http://127.0.0.1:9", "-o", tmp_path / output)
    assert done.status == 1
    assert "there is no folder" in done.err


def texts_of(encoding: str) -> st.SearchStrategy[str]:
    """Texts that CSV and the encoding can hold."""
    codec = {"utf-8-sig": "utf-8", "utf-16": "utf-8"}.get(encoding, encoding)
    return st.text(st.characters(codec=codec, exclude_characters="\0\r"), max_size=8)


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, bytes, list[str], list[list[str]]]:
    """A CSV file: its encoding, content, header and rows."""
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"]))
    separator = draw(st.sampled_from([",", ";", "\t", "|"]))
    names = st.text("abcdefghxy_ 019", min_size=1, max_size=5).map(str.strip)
    others = draw(st.lists(names, max_size=4))
    header = draw(st.permutations([*INPUTS[MODE], *others]))
    number = st.floats(13, 24).map(lambda value: f"{value:.4f}")
    cell = number | st.sampled_from(["19,5", "", "x"]) if draw(st.booleans()) else number
    rows = draw(
        st.lists(
            st.tuples(*(cell if name in INPUTS[MODE] else texts_of(encoding) for name in header)),
            max_size=4,
        )
    )
    output = io.StringIO(newline="")
    ends = draw(st.sampled_from(["\n", "\r\n"]))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    writer = csv.writer(output, delimiter=separator, lineterminator=ends, quoting=quoting)
    writer.writerows([header, *rows])
    content = output.getvalue().encode(encoding)
    return encoding, content, list(header), [list(row) for row in rows]


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables())
def test_any_table_comes_back_unchanged_with_the_predictions_of_its_rows_or_is_one_error(
    predict: Predict, server: ServerProcess, tmp_path: Path, table: Any
) -> None:
    encoding, content, header, rows = table
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    options = ["--encoding", encoding] if encoding in ("latin-1", "cp1252") else []
    done = predict(path, *options, "--prefix", "sky_")
    if done.status != 0:
        (line,) = [line for line in done.err.splitlines() if line.startswith("error:")]
        assert "a.csv" in line
        is_complete = all(
            re.fullmatch(r"\d+\.\d+", value)
            for row in rows
            for name, value in zip(header, row, strict=True)
            if name in INPUTS[MODE]
        )
        is_duplicated = any(header.count(name) > 1 for name in INPUTS[MODE])
        assert not rows or not is_complete or is_duplicated
        return
    found_header, *found = csv.reader(io.StringIO(done.out, newline=""))
    assert found_header == [*header, *(f"sky_{name}" for name in ADDED)]
    assert [row[: len(header)] for row in found] == rows
    inputs = pd.DataFrame(
        [[float(row[header.index(name)]) for name in INPUTS[MODE]] for row in rows],
        columns=list(INPUTS[MODE]),
    )
    expected = Client(server.url, MODE).classify(inputs)
    assert [row[len(header)] for row in found] == list(expected["predicted"])
    probabilities = [[float(value) for value in row[len(header) + 1 :][:3]] for row in found]
    assert probabilities == expected[list(PROBABILITIES)].to_numpy().tolist()


TYPES: dict[str, Callable[[list[float]], pa.Array]] = {
    "double": pa.array,
    "float": lambda values: pa.array(values, pa.float32()),
    "decimal": lambda values: pa.array([Decimal(f"{value:.4f}") for value in values]),
    "text": lambda values: pa.array([str(value) for value in values]),
    "categories": lambda values: pa.array([str(value) for value in values]).dictionary_encode(),
    "integers": lambda values: pa.array([round(value) for value in values]),
}

OTHERS: list[pa.Array] = [
    pa.array([2**63 - 1, None, -5]),
    pa.array(["000756", "", None]),
    pa.array([[1, 2], [], None]),
    pa.array([{"a": 1}, {"a": None}, None]),
    pa.array([b"\xff", b"", None]),
    pa.array([True, False, None]),
    pa.array([0, 1, None], pa.timestamp("ns", "UTC")),
    pa.array([0.1, float("nan"), None], pa.float32()),
]
"""Columns of types that predictions do not need."""


@st.composite
def parquet_tables(draw: st.DrawFn) -> tuple[pa.Table, list[list[float]]]:
    """A table of three rows, as pandas stores one with or without an index, and its inputs."""
    number = st.floats(13, 24).map(lambda value: round(value, 4))
    inputs = [draw(st.lists(number, min_size=3, max_size=3)) for _ in INPUTS[MODE]]
    kinds = [draw(st.sampled_from(sorted(TYPES))) for _ in INPUTS[MODE]]
    columns = {
        name: TYPES[kind](values)
        for name, kind, values in zip(INPUTS[MODE], kinds, inputs, strict=True)
    }
    names = st.lists(st.text("abcdefh_.é", min_size=1, max_size=4), max_size=4, unique=True)
    for name in draw(names):
        columns.setdefault(name, draw(st.sampled_from(OTHERS)))
    table = pa.table(dict(draw(st.permutations(list(columns.items())))))
    if draw(st.booleans()):
        index = pa.array(draw(st.lists(st.integers(0, 1), min_size=3, max_size=3)))
        table = table.append_column("__index_level_0__", index)
    expected = [table[name].cast(pa.string()).to_pylist() for name in INPUTS[MODE]]
    return table, [[float(text) for text in texts] for texts in expected]


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=parquet_tables())
def test_any_parquet_comes_back_unchanged_with_the_predictions_of_its_rows(
    predict: Predict, server: ServerProcess, tmp_path: Path, made: Any
) -> None:
    table, inputs = made
    pq.write_table(table, tmp_path / "a.parquet")
    done = predict(tmp_path / "a.parquet", "-o", tmp_path / "b.parquet", "--prefix", "sky_")
    assert done.status == 0, done.err
    found = pq.read_table(tmp_path / "b.parquet")
    names = [name for name in table.column_names if name != "__index_level_0__"]
    assert found.column_names == [*names, *(f"sky_{name}" for name in ADDED)]
    for name in names:
        if name in INPUTS[MODE]:
            assert found[name].cast(pa.float64()).equals(table[name].cast(pa.float64())), name
        else:
            assert repr(found[name].to_pylist()) == repr(table[name].to_pylist())  # NaN as well
    expected = Client(server.url, MODE).classify(
        pd.DataFrame(dict(zip(INPUTS[MODE], inputs, strict=True)))
    )
    assert found["sky_predicted"].to_pylist() == list(expected["predicted"])


def test_the_client_returns_the_columns_of_a_file_with_its_predictions(
    predict: Predict, server: ServerProcess, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    header, row = classify(predict, path, f"{HEADER}\n{ROW}\n")
    table = Client(server.url, MODE).classify_file(path)
    assert table.column_names == header
    (values,) = (record.values() for record in table.to_pylist())
    assert ["" if value is None else str(value) for value in values] == row
