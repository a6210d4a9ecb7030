"""The prediction page without a browser: its predictions and the HTML of its results."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from skyclass.apps.predict.classification import (
    Certainty,
    Clients,
    Prediction,
    choose_mode,
    classify_object,
)
from skyclass.apps.predict.explanations import Explain, make_explain, open_registry
from skyclass.apps.predict.form import EXAMPLE_LABELS, EXAMPLES, FIELDS, OPTIONAL_FIELDS, parse_form
from skyclass.apps.predict.rendering import DRAWINGS, render_error, render_prediction
from skyclass.apps.predict.table import classify_table
from skyclass.client import Client
from skyclass.errors import ServingError, SkyclassError
from skyclass.local.s3_server import Access
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import JOBLIB_MODEL, ONNX_MODEL
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import CLASSES
from tests.support.predictor import Site, publish, serving
from tests.support.wide_release import publish_wide, simulate_groups

pytestmark = pytest.mark.slow

GALAXY = [19.622, 18.480, 17.381, 16.909, 16.560]


@pytest.fixture(scope="module")
def site(s3: Access, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The object store with the releases."""
    return Site.make(s3, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def clients(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    """Clients of both models, each served by a process."""
    first, second = Mode
    for release in (
        publish(site, tmp_path_factory.mktemp("first"), first, seed=0),
        publish_wide(site, tmp_path_factory.mktemp("second")),
    ):
        LocalChampionStore(site.store).promote(release, "for a test", "test")
    log = tmp_path_factory.mktemp("logs")
    with (
        serving(site, first, None, log / "first") as one,
        serving(site, second, None, log / "second") as two,
    ):
        yield {first: Client(one.url, first), second: Client(two.url, second)}


def test_the_photometric_model_is_used_without_a_redshift(clients: Clients) -> None:
    with_redshift = classify_object(clients, GALAXY, 0.236)
    without = classify_object(clients, GALAXY, None)
    assert (with_redshift.mode, without.mode) == (Mode.SPECTROSCOPIC, Mode.PHOTOMETRIC)
    assert with_redshift.model_version != without.model_version
    assert with_redshift.predicted == "GALAXY"
    assert sum(without.probabilities.values()) == pytest.approx(1)
    assert choose_mode(float("nan")) is Mode.PHOTOMETRIC
    assert choose_mode(0.0) is Mode.SPECTROSCOPIC


@pytest.mark.parametrize(
    ("magnitudes", "message"),
    [
        ([None, *GALAXY[1:]], "u is null, expected a number"),
        ([*GALAXY[:4], -9999], "z was not measured (-9999)"),
    ],
)
def test_the_message_of_the_predictor_is_shown(
    clients: Clients, magnitudes: list[float | None], message: str
) -> None:
    with pytest.raises(ServingError) as raised:
        classify_object(clients, magnitudes, 0.2)
    assert str(raised.value).startswith(message)
    assert message in render_error(raised.value)


def test_unusual_inputs_are_shown_with_the_prediction(clients: Clients) -> None:
    prediction = classify_object(clients, [*GALAXY[:4], 40.0], 0.2)
    assert prediction.flags == "z outside 5 to 35"
    html = render_prediction(prediction)
    assert "Unusual: z outside 5 to 35" in html
    assert prediction.model_version[:12] in html


def test_each_example_gets_the_class_of_its_label(clients: Clients) -> None:
    for texts, label in zip(EXAMPLES, EXAMPLE_LABELS, strict=True):
        expected = next(
            name
            for name, word in zip(CLASSES, ("galaxy", "quasar", "star"), strict=True)
            if word in label
        )
        prediction = classify_object(clients, *parse_form([*texts, "", ""]))
        assert prediction.predicted == expected, label


@pytest.fixture(scope="module")
def explain(site: Site) -> Explain:
    """Explains with the releases of the object store."""
    return make_explain(lambda: site.registry)


@pytest.mark.parametrize("redshift", [0.236, None])
def test_an_explanation_adds_up_to_the_probability_that_the_predictor_returned(
    clients: Clients, explain: Explain, redshift: float | None
) -> None:
    prediction = classify_object(clients, GALAXY, redshift)
    explanation = explain(prediction)
    for name in CLASSES:
        shares = [each.shares[name] for each in explanation.contributions]
        total = explanation.base[name] + sum(shares)
        assert total == pytest.approx(prediction.probabilities[name], abs=1e-6)


def test_further_measurements_are_used_and_explained(clients: Clients, explain: Explain) -> None:
    measured = {f"psf_{band}": value + 0.3 for band, value in zip("ugriz", GALAXY, strict=True)}
    optional = {**dict.fromkeys(OPTIONAL_FIELDS), **measured, "alpha": 180.0, "delta": 10.0}
    prediction = classify_object(clients, GALAXY, None, optional, Certainty(0.95, 0.9))
    assert prediction.groups == ("extinction", "psf")
    assert prediction.labels
    assert prediction.is_certain is not None
    assert prediction.is_outside is not None
    values = {each.player.name: each.format_value() for each in explain(prediction).contributions}
    assert values["wise"] == "not measured"
    assert values["psf"] == (
        "psf_u-u 0.30 mag, psf_g-g 0.30 mag, psf_r-r 0.30 mag, psf_i-i 0.30 mag, psf_z-z 0.30 mag"
    )
    assert values["extinction"].startswith("0.0")  # of the dust map


def test_an_object_without_a_band_is_explained_if_the_release_can_do_without_it(
    clients: Clients, explain: Explain
) -> None:
    prediction = classify_object(clients, [None, *GALAXY[1:]], None)
    values = {each.player.name: each.format_value() for each in explain(prediction).contributions}
    assert values["u-g"] == "not measured"


def test_without_an_object_store_the_page_says_why_it_cannot_explain(
    clients: Clients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SKYCLASS_HOME", str(tmp_path))
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    prediction = classify_object(clients, GALAXY, 0.236)
    with pytest.raises(SkyclassError) as raised:
        make_explain(open_registry)(prediction)
    assert str(raised.value).startswith(
        "the prediction cannot be explained, which needs the files of its release: "
        "AWS_ENDPOINT_URL is not set"
    )


def test_a_release_without_a_reference_is_not_explained(
    clients: Clients, site: Site, tmp_path: Path
) -> None:
    prediction = classify_object(clients, GALAXY, 0.236)
    release = publish(site, tmp_path, Mode.SPECTROSCOPIC, seed=1)
    files = {name: tmp_path / name for name in (JOBLIB_MODEL, ONNX_MODEL)}
    bare = site.registry.publish(release.manifest, files)
    with pytest.raises(SkyclassError, match=r"has no file reference\.parquet: train"):
        make_explain(lambda: site.registry)(replace(prediction, model_version=bare.id))


PREDICTION = Prediction(
    mode=Mode.PHOTOMETRIC,
    predicted="STAR",
    probabilities={"GALAXY": 0.1, "QSO": 0.3, "STAR": 0.6},
    model_version="a" * 64,
    flags="",
    inputs=(),
)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"labels": ("QSO", "STAR")}, "Label set: QSO, STAR"),
        ({"labels": ()}, "Label set: empty"),
        ({"is_certain": False}, "Not certain enough for the sample"),
        ({"is_certain": True}, "Certain enough for the sample"),
        ({"is_outside": True}, "Unlike the objects that the model was trained on"),
        ({"groups": ("psf", "wise")}, ", with psf, wise"),
    ],
)
def test_what_the_user_requested_is_shown(changes: dict[str, Any], text: str) -> None:
    assert text in render_prediction(replace(PREDICTION, **changes))
    assert text not in render_prediction(PREDICTION)


def test_texts_are_parsed_as_numbers() -> None:
    texts = dict.fromkeys((*FIELDS, *OPTIONAL_FIELDS)) | {"type": "6", "w1": "15,25"}
    texts |= {"u": "1", "g": "2.5", "r": "3,5", "i": " 4 "}
    form = parse_form([*texts.values(), "0.95", None])
    assert form.magnitudes == [1, 2.5, 3.5, 4, None]
    assert form.redshift is None
    measured = {name: value for name, value in form.optional.items() if value is not None}
    assert measured == {"type": 6, "w1": 15.25}
    assert (form.certainty.coverage, form.certainty.purity) == (0.95, None)
    with pytest.raises(ServingError, match="g is 'bright': expected a number"):
        parse_form([*(texts | {"g": "bright"}).values(), "", ""])


def test_each_row_of_a_table_is_classified_by_the_model_of_its_inputs(
    clients: Clients, tmp_path: Path
) -> None:
    rows = pd.DataFrame(
        [EXAMPLES[number][: len(FIELDS)] for number in (0, 5, 3)] * 700,
        columns=INPUTS[Mode.SPECTROSCOPIC],
    )
    rows.insert(0, "name", [f"object {number}" for number in range(len(rows))])
    table = tmp_path / "objects.csv"
    rows.to_csv(table, index=False)
    reported: list[tuple[int, int]] = []
    target, predictions = classify_table(
        clients, table, tmp_path, lambda done, of: reported.append((done, of))
    )
    assert reported == [(0, 2100), (1000, 2100), (1400, 2100), (2100, 2100)]
    assert predictions["mode"].to_pylist()[:3] == ["spectroscopic", "photometric", "spectroscopic"]
    assert predictions["predicted"].to_pylist()[:3] == ["GALAXY", "STAR", "QSO"]
    written = pd.read_csv(target)
    assert list(written["name"]) == list(rows["name"])
    assert target.name == "objects-classified.csv"


@pytest.mark.parametrize("options", ["w1=W1mag", "?w1=W1mag"])
def test_a_table_with_further_measurements_gets_label_sets(
    clients: Clients, tmp_path: Path, options: str
) -> None:
    simulate_groups(20).rename(columns={"w1": "W1mag"}).to_csv(tmp_path / "a.csv", index=False)
    _, rows = classify_table(
        clients, tmp_path / "a.csv", tmp_path, lambda done, of: None, Certainty(0.9), options
    )
    assert rows.column_names[-4:] == ["out_of_domain", "groups", "labels", "mode"]
    assert {"psf", "wise"} <= set(" ".join(rows["groups"].to_pylist()).split())
    assert all(rows["labels"].to_pylist())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("u,g,r,i\n1,2,3,4\n", "objects.csv: missing column z"),
        ("u,g,r,i,z\n", "objects.csv: no rows below the header"),
        ("", "objects.csv: the file is empty"),
        ("u,g,r,i,z,redshift\n19,18,17,16,,0.1\n", "objects.csv, line 2: z is null"),
    ],
)
def test_an_unusable_table_is_rejected_with_a_message(
    clients: Clients, tmp_path: Path, content: str, message: str
) -> None:
    table = tmp_path / "objects.csv"
    table.write_text(content)
    with pytest.raises(SkyclassError, match=message):
        classify_table(clients, table, tmp_path, lambda done, of: None)


def test_each_class_has_a_drawing_with_a_text_alternative() -> None:
    roots = {name: ET.fromstring(DRAWINGS[name]) for name in CLASSES}  # noqa: S314 - our own text
    assert all(root.attrib["role"] == "img" for root in roots.values())
    labels = {root.attrib["aria-label"] for root in roots.values()}
    assert len(labels) == len(CLASSES)
    assert all(label.startswith("Drawing of a") for label in labels)
