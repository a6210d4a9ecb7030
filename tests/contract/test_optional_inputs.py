"""Optional inputs, label sets, purity and domain in all protocols, with a release that has them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pandas as pd
import pytest

from skyclass.client import PREDICTION_COLUMNS, UNCERTAIN, Client
from skyclass.registry.models import LoadedModel
from skyclass.serving.loading import fetch_release, load_release
from skyclass.survey.features import ALL_INPUTS, INPUTS, Mode, find_groups, model_name
from skyclass.survey.observation import CLASSES, RANGES
from skyclass.tables.log.read import read_log
from skyclass.tables.log.schema import PROBABILITIES
from tests.support.command_line import CommandLine
from tests.support.grpc_calls import connected, error_of, infer, to_grpc
from tests.support.predictor import ServerProcess, Site, eventually, serving
from tests.support.wide_release import MISSING_BAND, mask_values, publish_wide, simulate_groups

MODE = Mode.PHOTOMETRIC
NAME = model_name(MODE)
V1, V2 = f"/v1/models/{NAME}:predict", f"/v2/models/{NAME}/infer"
NAMES, REQUIRED = ALL_INPUTS[MODE], INPUTS[MODE]
COVERAGE, PURITY = 0.95, 0.9
OUTPUTS = ("class", "probabilities", "labels", "certain", "out_of_domain")
PARAMETERS = {"coverage": str(COVERAGE), "purity": str(PURITY)}
ROW = dict(zip(REQUIRED, (20.1, 19.2, 18.8, 18.6, 18.5), strict=True))
ROWS = 120


@dataclass(frozen=True)
class Served:
    """A server, the model that it serves, loaded in this process, and where it logs."""

    server: ServerProcess
    model: LoadedModel
    site: Site

    def v1(self, instances: Any, **more: Any) -> list[dict[str, Any]]:
        body = {"instances": instances, **more}
        response = self.server.request("POST", V1, body)
        assert response.status == 200, response.data
        return list(response.json()["predictions"])

    def v2(self, inputs: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        response = self.server.request("POST", V2, {"inputs": inputs, **more})
        assert response.status == 200, response.data
        return dict(response.json())


@pytest.fixture(scope="module")
def served(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("release")
    release = publish_wide(site, folder / "files")
    model = load_release(fetch_release(release, site.registry, site.settings.home), MODE)
    address = f"s3://{site.settings.models_bucket}/{release.prefix}"
    with serving(site, MODE, address, folder / "log", log_flush_seconds=0.2) as server:
        yield Served(server, model, site)


@pytest.fixture(scope="module")
def inputs() -> pd.DataFrame:
    """Rows without random values of their optional inputs, exact in single precision."""
    rows = mask_values(simulate_groups(ROWS, seed=7))[list(NAMES)]
    return rows.astype("float32").astype("float64")


def to_records(rows: pd.DataFrame) -> list[dict[str, float]]:
    return [
        {name: value for name, value in row.items() if not np.isnan(value)}
        for row in rows.to_dict("records")
    ]


def to_columns(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "shape": [len(rows)],
            "datatype": "FP64",
            "data": [None if np.isnan(value) else value for value in rows[name]],
        }
        for name in rows.columns
    ]


def read_outputs(response: dict[str, Any]) -> dict[str, Any]:
    return {
        output["name"]: np.array(output["data"]).reshape(output["shape"])
        for output in response["outputs"]
    }


def test_all_protocols_agree_with_the_model(served: Served, inputs: pd.DataFrame) -> None:
    model, manifest = served.model, served.model.release.manifest
    features = model.compute_features(inputs.to_numpy())
    expected = model.predict_from_features(features)
    found = find_groups(features, manifest.features)
    groups = [[str(group) for group, used in found.items() if used[row]] for row in range(ROWS)]
    assert manifest.label_sets
    assert manifest.purity_cuts
    assert model.domain
    labels = manifest.label_sets.select(expected, found, COVERAGE)
    certain = manifest.purity_cuts.find_certain(expected, PURITY, found)
    outside = model.domain.find_outside(features, manifest.features)
    assert 0 < labels.sum(axis=1).min() < labels.sum(axis=1).max()
    assert 0 < certain.sum() < ROWS

    predictions = served.v1(to_records(inputs), coverage=COVERAGE, purity=PURITY)
    probabilities = np.array([list(each["probabilities"].values()) for each in predictions])
    np.testing.assert_allclose(probabilities, expected, atol=1e-7)
    sent = inputs[list(NAMES[len(REQUIRED) :])].notna().any(axis=1)
    assert [each.get("groups") for each in predictions] == [
        names if has_some else None for names, has_some in zip(groups, sent, strict=True)
    ]
    assert [[name in each["labels"] for name in CLASSES] for each in predictions] == labels.tolist()
    assert [each["certain"] for each in predictions] == certain.tolist()
    assert [each["out_of_domain"] for each in predictions] == outside.tolist()

    matrix = {"name": "x", "shape": list(inputs.shape), "datatype": "FP64"}
    cells = [[None if np.isnan(cell) else cell for cell in row] for row in inputs.to_numpy()]
    wanted = {"parameters": PARAMETERS, "outputs": [{"name": name} for name in OUTPUTS]}
    first = served.v2([{**matrix, "data": cells}], **wanted)
    assert served.v2(to_columns(inputs), **wanted) | {"id": first["id"]} == first
    outputs = read_outputs(first)
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-7)
    for name, values in (("labels", labels), ("certain", certain), ("out_of_domain", outside)):
        np.testing.assert_array_equal(outputs[name], values)
    assert first["parameters"]["groups"] == "; ".join(
        f"row {row}: {', '.join(names) or 'none'}" for row, names in enumerate(groups) if sent[row]
    )

    parameters = {name: {"string_param": text} for name, text in PARAMETERS.items()}
    rest = {"outputs": wanted["outputs"], "parameters": parameters}
    typed = {**matrix, "contents": {"fp64_contents": inputs.to_numpy().ravel()}}
    raw = inputs.to_numpy().astype("<f8").tobytes()
    with connected(served.server.grpc) as stub:
        numbers = infer(stub, NAME, inputs=[typed], **rest)
        packed = infer(stub, NAME, inputs=[matrix], raw_input_contents=[raw], **rest)
    assert numbers.parameters["groups"].string_param == first["parameters"]["groups"]
    contents = [output.contents for output in numbers.outputs]
    np.testing.assert_allclose(contents[1].fp32_contents, expected.ravel(), atol=1e-7)
    for at, values in ((2, labels), (3, certain), (4, outside)):
        assert list(contents[at].bool_contents) == values.ravel().tolist()
        assert packed.raw_output_contents[at] == values.tobytes()


def test_a_position_alone_is_worth_the_extinction_of_the_map(served: Served) -> None:
    dust_map = served.model.dust_map
    assert dust_map
    (extinction,) = dust_map.find_extinction([150.0], [2.0]).tolist()
    by_position, by_value, without = served.v1(
        [{**ROW, "alpha": 150, "delta": 2}, {**ROW, "extinction_r": extinction}, ROW]
    )
    assert by_position["groups"] == by_value["groups"] == ["extinction"]
    assert by_position["probabilities"] == by_value["probabilities"]
    assert "groups" not in without


def test_an_invalid_optional_input_costs_no_more_than_the_input(served: Served) -> None:
    invalid = {"psf_u": 98.0, "type": 5, "w1": -9999, "err_u": 99, "alpha": None}
    first, plain = served.v1([{**ROW, **invalid}, ROW])
    low, high = RANGES["psf_u"]
    assert first["flags"] == [
        f"psf_u outside {low:g} to {high:g}, not used",
        "type not 3 or 6, not used",
    ]
    assert first["probabilities"] == plain["probabilities"]


def test_a_band_is_missing_only_if_the_release_can_do_without(served: Served) -> None:
    lacking = {name: value for name, value in ROW.items() if name != MISSING_BAND}
    for instance in (lacking, {**ROW, MISSING_BAND: None}, {**ROW, MISSING_BAND: -9999}):
        (prediction,) = served.v1([instance], coverage=COVERAGE)
        assert prediction["flags"] == [f"{MISSING_BAND} not measured"]
    columns = to_columns(pd.DataFrame([lacking]))
    assert served.v2(columns)["parameters"] == {"flags": f"row 0: {MISSING_BAND} not measured"}
    request = to_grpc({"inputs": columns})
    assert request
    with connected(served.server.grpc) as stub:
        flags = infer(stub, NAME, **request).parameters["flags"].string_param
    assert flags == f"row 0: {MISSING_BAND} not measured"


def without(*names: str) -> dict[str, float]:
    return {name: value for name, value in ROW.items() if name not in names}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (without("g"), "row 1: g is missing"),
        ({**ROW, "g": None}, "row 1: g is null, expected a number"),
        ({**ROW, "g": -9999}, "row 1: g was not measured (-9999)"),
        ({**ROW, "psf_u": "20"}, "row 1: psf_u is text ('20'), expected a number"),
        ({**ROW, "type": True}, "row 1: type is true, expected a number"),
        ({**ROW, "w1": [15.0]}, "row 1: w1 is a list, expected a number"),
        (
            {**ROW, "ra": 15.0},
            "row 1: 'ra' is not an input of skyclass-photometric, expected u, g, r, i, z and "
            "optionally alpha, delta",
        ),
    ],
)
def test_v1_rejects_what_it_cannot_read(served: Served, row: Any, words: str) -> None:
    response = served.server.request("POST", V1, {"instances": [{**ROW, "psf_g": 20}, row]})
    assert response.status == 422
    assert response.json()["error"].startswith(words)


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"g": None}, 400, "expected one matrix or one column each of u, g, r, i, z and optional"),
        (
            {"ra": [1.0]},
            400,
            "expected one matrix or one column each of u, g, r, i, z and optional",
        ),
        ({"psf_u": [1.0, 2.0]}, 400, "psf_u has the shape [2], expected [1] or [1, 1]"),
        ({"psf_u": ["20"]}, 422, "row 0: psf_u is text ('20'), expected a number"),
        ({"g": [None]}, 422, "row 0: g is null, expected a number"),
        ({"g": [-9999]}, 422, "row 0: g was not measured (-9999)"),
    ],
)
def test_v2_and_grpc_reject_what_they_cannot_read(
    served: Served, changes: dict[str, list[Any] | None], status: int, words: str
) -> None:
    values: dict[str, list[Any] | None] = {**{name: [x] for name, x in ROW.items()}, **changes}
    columns = [
        {"name": name, "shape": [len(cells)], "datatype": "FP64", "data": cells}
        for name, cells in values.items()
        if cells is not None
    ]
    response = served.server.request("POST", V2, {"inputs": columns})
    assert response.status == status
    assert words in response.json()["error"]
    if request := to_grpc({"inputs": columns}):
        with connected(served.server.grpc) as stub:
            found = error_of(stub, NAME, **request)
        assert found == (grpc.StatusCode.INVALID_ARGUMENT, response.json()["error"])


def test_nan_in_a_required_column_is_rejected(served: Served) -> None:
    values = np.full((1, len(NAMES)), 20.0)
    values[0, 1] = np.nan
    tensor = {"name": "x", "shape": list(values.shape), "datatype": "FP64"}
    with connected(served.server.grpc) as stub:
        code, text = error_of(stub, NAME, inputs=[tensor], raw_input_contents=[values.tobytes()])
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert text.startswith("row 0: g is nan, expected a number")


def test_requests_without_anything_new_get_the_outputs_of_before(
    served: Served, inputs: pd.DataFrame
) -> None:
    matrix = {"name": "x", "shape": [1, 5], "datatype": "FP64", "data": list(ROW.values())}
    response = served.v2([matrix])
    assert [output["name"] for output in response["outputs"]] == ["class", "probabilities"]
    assert "parameters" not in response
    (prediction,) = served.v1([list(ROW.values())])
    assert list(prediction) == ["class", "probabilities", "out_of_domain"]
    metadata = served.server.request("GET", f"/v2/models/{NAME}").json()
    assert [each["name"] for each in metadata["inputs"]] == list(REQUIRED)
    names = [each["name"] for each in metadata["outputs"]]
    assert names == ["class", "probabilities", "out_of_domain"]


def test_the_client_adds_columns_for_what_was_sent(served: Served, inputs: pd.DataFrame) -> None:
    client = Client(served.server.url, MODE)
    plain = client.classify(inputs[list(REQUIRED)])
    assert list(plain.columns) == list(PREDICTION_COLUMNS)
    assert plain["out_of_domain"].dtype == "boolean"
    assert plain["out_of_domain"].notna().all()
    assert UNCERTAIN not in set(plain["predicted"])

    table = inputs.assign(name="an object")
    found = client.classify(table, coverage=COVERAGE, purity=PURITY)
    assert list(found.columns) == [*PREDICTION_COLUMNS, "groups", "labels"]
    expected = served.model.predict_probabilities(inputs.to_numpy())
    np.testing.assert_allclose(found[list(PROBABILITIES)], expected, atol=1e-7)
    predictions = served.v1(to_records(inputs), coverage=COVERAGE, purity=PURITY)
    assert found["groups"].tolist() == [" ".join(each.get("groups", ())) for each in predictions]
    assert found["labels"].tolist() == [" ".join(each["labels"]) for each in predictions]
    assert found["predicted"].tolist() == [
        each["class"] if each["certain"] else UNCERTAIN for each in predictions
    ]


def test_the_client_ignores_a_column_of_text_with_the_name_of_an_optional_input(
    served: Served, inputs: pd.DataFrame
) -> None:
    table = inputs[list(REQUIRED)].assign(type="STAR")
    found = Client(served.server.url, MODE).classify(table)
    assert list(found.columns) == list(PREDICTION_COLUMNS)


def test_the_command_line_adds_label_sets_and_uncertain_objects(
    served: Served,
    inputs: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, output = tmp_path / "objects.csv", tmp_path / "out.csv"
    inputs.to_csv(source, index=False)
    arguments = ["predict", str(source), "--mode", str(MODE), "--url", served.server.url]
    command_line = CommandLine(monkeypatch, capsys)
    options = ["--coverage", str(COVERAGE), "--purity", str(PURITY), "-o", str(output)]
    done = command_line.run(*arguments, *options)
    assert done.status == 0, done.err
    expected = Client(served.server.url, MODE).classify(inputs, coverage=COVERAGE, purity=PURITY)
    found = pd.read_csv(output, keep_default_na=False)
    for name in ("predicted", "labels", "groups"):
        assert found[name].tolist() == expected[name].tolist()
    done = command_line.run(*arguments, "--coverage", "1.5")
    assert done.status == 1
    assert "coverage is a number (1.5), expected a number between 0 and 1" in done.err


def test_the_log_has_the_optional_inputs_that_the_model_used(
    served: Served, inputs: pd.DataFrame
) -> None:
    key = {"Idempotency-Key": "the-request"}
    wide = to_records(inputs)[:3]
    body = {"instances": [*wide, {**ROW, "psf_u": 99.0, "alpha": 12.0}]}
    for _ in range(2):  # a retry of the client
        assert served.server.request("POST", V1, body, key).status == 200
    plain = {"Idempotency-Key": "another"}
    assert served.server.request("POST", V1, {"instances": [list(ROW.values())]}, plain).status

    def read_rows() -> pd.DataFrame:
        now, hour = datetime.now(UTC), timedelta(hours=1)
        version = served.model.release.id
        rows = read_log(served.site.store, now - hour, now + hour, MODE, version).rows
        return rows[rows["idempotency_key"].isin(["the-request", "another"])]

    eventually(lambda: len(read_rows()) == 9, 30)
    rows = read_rows()
    found = rows[rows["idempotency_key"] == "the-request"].drop_duplicates("row").sort_values("row")
    expected = inputs[:3].reset_index(drop=True)
    names = list(NAMES)
    pd.testing.assert_frame_equal(found[names][:3].reset_index(drop=True), expected)
    assert found[names].iloc[3].dropna().to_dict() == {**ROW, "alpha": 12.0}
    assert (rows["idempotency_key"] == "the-request").sum() == 8
    (other,) = rows[rows["idempotency_key"] == "another"].to_dict("records")
    assert pd.isna(other["psf_u"])
    assert set(rows["out_of_domain"]) <= {True, False}
