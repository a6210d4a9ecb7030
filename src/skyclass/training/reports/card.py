"""The model card of a release: Markdown with the front matter of a Hugging Face model card."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import yaml

from skyclass.registry.manifest import Evaluation, Manifest
from skyclass.registry.verdicts import Check, Outcome
from skyclass.survey.features import Mode, model_name
from skyclass.survey.observation import Era, find_eras
from skyclass.training.calibration import CALIBRATION_BINS
from skyclass.training.reports.caveats import CAVEATS
from skyclass.training.reports.cuts import list_cuts
from skyclass.training.reports.pages import name_split, render_page

TASK = "tabular-classification"
LICENCE = "apache-2.0"

LOW_RECALL = 0.5
"""A class is lost in slices with a lower recall; the card names them among its limits."""

_EXAMPLES = {
    Mode.SPECTROSCOPIC: [19.4, 19.2, 19.1, 19.0, 18.9, 2.0],
    Mode.PHOTOMETRIC: [19.4, 19.2, 19.1, 19.0, 18.9],
}
"""One quasar in each mode, its values in the order of `INPUTS`."""


class Slice(NamedTuple):
    """Recall of a class in one slice of the random hold-out.

    Attributes:
        name: Class, magnitudes and era.
        rows: Number of rows.
        recall: Recall of the release.
        floor: The recall that it must reach.
        champion: Recall of the champion on the same rows.
        p_value: P-value of the comparison with the champion, corrected for the number of slices.
        outcome: Whether it reaches the floor, and is not worse than the champion.
    """

    name: str
    rows: int
    recall: float | None
    floor: float | None
    champion: float | None
    p_value: float | None
    outcome: Outcome


def render_model_card(manifest: Manifest) -> str:
    """Render the model card from the manifest alone; equal manifests yield equal cards.

    The card does not name the release's id, which depends on the card.

    Args:
        manifest: The manifest; its `files` are not used.
    """
    slices = _list_slices(manifest.gate.checks)
    return render_page(
        "model_card.md.j2",
        manifest=manifest,
        mode=manifest.mode,
        name=model_name(manifest.mode),
        data=manifest.training_set,
        parity=manifest.parity,
        evaluations=tuple(manifest.metrics.values()),
        slices=slices,
        cuts=list_cuts(manifest.purity_cuts) if manifest.purity_cuts else {},
        weak_slices=[
            each for each in slices if each.recall is not None and each.recall < LOW_RECALL
        ],
        eras=_describe_eras(manifest),
        front_matter=_render_front_matter(manifest),
        calibration_bins=CALIBRATION_BINS,
        caveats=CAVEATS[manifest.mode],
        example=_EXAMPLES[manifest.mode],
    )


def _list_slices(checks: Sequence[Check]) -> list[Slice]:
    """Return the slices in the order in which the gate checked them."""
    floors = {check.subject: check for check in checks if check.group == "slice_floor"}
    comparisons = {check.subject: check for check in checks if check.group == "slice"}
    slices = []
    for name in dict.fromkeys((*floors, *comparisons)):
        floor, comparison = floors.get(name), comparisons.get(name)
        found = [check for check in (floor, comparison) if check]
        failed = any(check.outcome is Outcome.FAILED for check in found)
        slices.append(
            Slice(
                name=name,
                rows=found[0].rows,
                recall=found[0].challenger,
                floor=floor.limit if floor else None,
                champion=comparison.champion if comparison else None,
                p_value=comparison.p_value if comparison else None,
                outcome=Outcome.FAILED if failed else Outcome.PASSED,
            )
        )
    return slices


def _render_front_matter(manifest: Manifest) -> str:
    fields = {
        "language": "en",
        "license": LICENCE,
        "library_name": "sklearn",
        "pipeline_tag": TASK,
        "tags": [
            TASK,
            "sklearn",
            *(["onnx"] if manifest.parity.passed else []),
            *("astronomy", "sdss", str(manifest.mode)),
            *(["simulated-data"] if manifest.training_set.synthetic_rows else []),
        ],
        "metrics": ["accuracy", "f1", "recall", "log_loss", "expected_calibration_error"],
        "model-index": [
            {
                "name": model_name(manifest.mode),
                "results": [_describe_result(manifest, each) for each in manifest.metrics.values()],
            }
        ],
    }
    return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)


def _describe_result(manifest: Manifest, evaluation: Evaluation) -> dict[str, Any]:
    data = manifest.training_set
    return {
        "task": {"type": TASK, "name": "Classification of SDSS objects"},
        "dataset": {
            "type": "sdss",
            "name": f"{name_split(evaluation.split)} hold-out of the observations table",
            "split": evaluation.split,
            "args": {
                **{"table": data.table, "version": data.version, "rows": evaluation.rows},
                **{"first_mjd": data.first_mjd, "last_mjd": data.watermark},
            },
        },
        "metrics": [
            _describe_metric("accuracy", "Accuracy", evaluation.accuracy),
            _describe_metric("f1", "Macro-F1", evaluation.macro_f1),
            *(
                _describe_metric("recall", f"Recall of {name}", scores.recall)
                for name, scores in evaluation.classes.items()
            ),
            _describe_metric("log_loss", "Log-loss (nats)", evaluation.log_loss),
            _describe_metric(
                "expected_calibration_error",
                f"Expected calibration error, {CALIBRATION_BINS} bins",
                evaluation.calibration_error,
            ),
        ],
    }


def _describe_metric(kind: str, name: str, value: float) -> dict[str, Any]:
    return {"type": kind, "name": name, "value": value}


def _describe_eras(manifest: Manifest) -> str:
    data = manifest.training_set
    first, last = find_eras([data.first_mjd, data.watermark]).tolist()
    eras = [str(era) for era in Era]
    covered = eras[eras.index(first) : eras.index(last) + 1]
    return f"{'era' if len(covered) == 1 else 'eras'} {', '.join(covered)}"
