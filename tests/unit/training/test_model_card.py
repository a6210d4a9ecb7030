"""The model card that a release carries."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from skyclass.registry.manifest import Manifest
from skyclass.registry.releases import Registry
from skyclass.registry.verdicts import Check, GateVerdict, Outcome
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.training.dataset import Dataset
from skyclass.training.evaluation import ModelEvaluation
from skyclass.training.reports.card import render_model_card
from skyclass.training.reports.caveats import CAVEATS
from skyclass.training.reports.training import render_training_report
from skyclass.training.results import FitSummary
from skyclass.training.uncertainty.conformal import calibrate_label_sets
from skyclass.training.uncertainty.purity_cuts import find_purity_cuts
from tests.support.releases import draft
from tests.support.uncertainty import draw_rows, make_patterns

SECTIONS = (
    "Model details",
    "Intended use",
    "Training data",
    "Evaluation",
    "Calibration",
    "Limits and caveats",
    "How to use",
    "Citation",
)


@pytest.fixture
def manifest(dataset: Dataset, models_folder: Path, evaluation: ModelEvaluation) -> Manifest:
    """The manifest of the decision tree that was fitted on the small dataset."""
    return draft(
        Mode.SPECTROSCOPIC,
        metrics={each.split: each for each in evaluation.evaluations},
        training_set=dataset.summary,
        parity=FitSummary.load(models_folder).parity,
    )


def read_front_matter(card: str) -> dict[str, Any]:
    start, front_matter, _ = card.split("---\n", 2)
    assert start == ""
    fields: dict[str, Any] = yaml.safe_load(front_matter)
    return fields


def test_front_matter_has_the_fields_of_a_hugging_face_card(manifest: Manifest) -> None:
    fields = read_front_matter(render_model_card(manifest))
    assert (fields["license"], fields["library_name"]) == ("apache-2.0", "sklearn")
    assert fields["pipeline_tag"] == "tabular-classification"
    assert {"astronomy", "sdss", "spectroscopic", "simulated-data"} <= set(fields["tags"])
    (model,) = fields["model-index"]
    used = {each["type"] for result in model["results"] for each in result["metrics"]}
    assert used == set(fields["metrics"])
    for result in model["results"]:
        assert {"type", "name"} <= set(result["task"]) & set(result["dataset"])


def test_metrics_of_the_front_matter_are_those_of_the_manifest(manifest: Manifest) -> None:
    results = read_front_matter(render_model_card(manifest))["model-index"][0]["results"]
    assert {result["dataset"]["split"] for result in results} == set(manifest.metrics)
    for result in results:
        expected = manifest.metrics[result["dataset"]["split"]]
        values = {each["name"]: each["value"] for each in result["metrics"]}
        assert values["Accuracy"] == expected.accuracy
        assert values["Macro-F1"] == expected.macro_f1
        assert values["Recall of QSO"] == expected.classes["QSO"].recall
        assert values["Log-loss (nats)"] == expected.log_loss
        assert result["dataset"]["args"]["rows"] == expected.rows


def test_card_describes_the_training_set_and_every_hold_out(manifest: Manifest) -> None:
    card, data = render_model_card(manifest), manifest.training_set
    assert re.findall(r"^## (.+)$", card, re.MULTILINE) == list(SECTIONS)
    assert f"- Table: `{data.table}`, version {data.version}\n" in card
    assert f"- Rows: {data.rows:,} with a class and every input" in card
    assert f"MJD {data.first_mjd} to {data.watermark} (" in card
    assert "> **Synthetic data.**" in card
    for each in manifest.metrics.values():
        assert f"| {each.rows:,} | {each.accuracy:.4f} | {each.macro_f1:.4f} |" in card


def test_card_has_the_slices_of_the_gate(manifest: Manifest) -> None:
    faint = Check(
        group="slice_floor",
        subject="QSO, r 20 to 21, boss",
        test="Wilson upper bound",
        rows=120,
        challenger=0.75,
        limit=0.6,
        outcome=Outcome.PASSED,
    )
    worse = faint.model_copy(
        update={"group": "slice", "champion": 0.9, "p_value": 0.0004, "outcome": Outcome.FAILED}
    )
    bright = faint.model_copy(update={"subject": "STAR, r < 18, legacy", "challenger": 1.0})
    average = faint.model_copy(update={"group": "floor", "subject": "macro-F1"})
    checks = (average, faint, bright, worse)
    gate = GateVerdict(
        passed=False, reason="a slice", challenger_macro_f1=0.9, rows=9, checks=checks
    )
    card = render_model_card(manifest.model_copy(update={"gate": gate}))
    assert "Verdict of the gate: not passed, a slice." in card
    assert [line for line in card.splitlines() if line.endswith((" passed |", " failed |"))] == [
        "| QSO, r 20 to 21, boss | 120 | 0.7500 | 0.60 | 0.9000 | 0.0004 | failed |",
        "| STAR, r < 18, legacy | 120 | 1.0000 | 0.60 | - | - | passed |",
    ]


def test_card_names_settings_and_calibration(manifest: Manifest) -> None:
    changes = {"settings": {"min_samples_leaf": 3}, "calibration": "temperature"}
    card = render_model_card(manifest.model_copy(update=changes))
    assert "; settings: min_samples_leaf = 3\n" in card
    assert "\n- The probabilities were calibrated after the fit, method temperature\n" in card
    assert "not calibrated afterwards" in render_model_card(manifest)


def test_slices_in_which_a_class_is_lost_are_among_the_limits(manifest: Manifest) -> None:
    lost = Check(
        group="slice_floor",
        subject="STAR, r 21 to 22, boss",
        test="Wilson upper bound",
        rows=75,
        challenger=0.2667,
        limit=0.1,
        outcome=Outcome.PASSED,
    )
    found = lost.model_copy(update={"subject": "STAR, r < 18, legacy", "challenger": 0.93})
    gate = GateVerdict(
        passed=True, reason="a test", challenger_macro_f1=0.9, rows=9, checks=(lost, found)
    )
    limits = render_model_card(manifest.model_copy(update={"gate": gate})).split("## Limits")[1]
    assert "\n- STAR, r 21 to 22, boss: 26.7% of 75\n" in limits
    assert "STAR, r < 18" not in limits
    assert "fewer than half" not in render_model_card(manifest)


@pytest.mark.parametrize("mode", Mode)
def test_card_is_deterministic_and_states_the_limits_of_its_mode(mode: Mode) -> None:
    card = render_model_card(draft(mode))
    assert card == render_model_card(draft(mode))
    for text in (*CAVEATS[mode].uses, *CAVEATS[mode].misuses, *CAVEATS[mode].limits):
        assert f"\n- {text}\n" in card
    assert ("redshift nearly is the label" in card) is (mode is Mode.SPECTROSCOPIC)


def test_foreign_text_cannot_add_lines_or_end_code(manifest: Manifest) -> None:
    card = render_model_card(manifest.model_copy(update={"run_id": "a`\n# Heading | b"}))
    assert "by run `a' # Heading / b`\n" in card


def test_code_of_the_card_predicts(
    manifest: Manifest,
    models_folder: Path,
    store: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = {name: models_folder / name for name in ("model.joblib", "model.onnx")}
    registry = Registry(store)
    registry.download(registry.publish(manifest, files), tmp_path / "release")
    code = re.search(r"```python\n(.+?)```", render_model_card(manifest), re.DOTALL)
    assert code
    monkeypatch.chdir(tmp_path)
    exec(code[1], {})  # noqa: S102 - the code that the card tells users to run
    assert re.match(r"\{'GALAXY': .+'QSO': .+'STAR': ", capsys.readouterr().out)


def test_report_has_the_uses_and_limits_of_the_card(
    dataset: Dataset, models_folder: Path, evaluation: ModelEvaluation
) -> None:
    gate = GateVerdict(passed=True, reason="a test", challenger_macro_f1=0.9, rows=9)
    html = render_training_report(dataset, FitSummary.load(models_folder), evaluation, gate)
    caveats = CAVEATS[dataset.mode]
    assert html.count("<li>") == len(caveats.uses + caveats.misuses + caveats.limits) + 2
    assert "arXiv:2112.02026" in html


def test_card_has_the_cuts_of_pure_samples(manifest: Manifest) -> None:
    patterns = make_patterns(draw_rows(3_000, seed=0, sharpness=4))
    changes = {
        "label_sets": calibrate_label_sets(patterns),
        "purity_cuts": find_purity_cuts(patterns),
    }
    card = render_model_card(manifest.model_copy(update=changes))
    assert re.search(r"^\| QSO \| (?:all|0\.\d{3}) \(0\.\d{3}\) \|.* \|$", card, re.MULTILINE)
    assert "## Label sets and pure samples\n" in card
