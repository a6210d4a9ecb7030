"""The lineage of a release as lines for people and as a JSON document."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from skyclass.cli.output import out

if TYPE_CHECKING:
    from skyclass.monitoring.lineage import Lineage, MonitoredWindow
    from skyclass.promotion.approvals import Approval
    from skyclass.promotion.events import Promotion
    from skyclass.tables.prediction_history import ScoredInput

_NAME_WIDTH = 14


def print_lineage(
    lineage: "Lineage", approval: "Approval | None", inputs: "list[ScoredInput]"
) -> None:
    """Print the lineage, from the run to the predictions, one fact a line."""
    for name, text in _describe(lineage, approval, inputs):
        out.print(f"{name:<{_NAME_WIDTH}}{text}", markup=False, highlight=False, soft_wrap=True)


def make_lineage_document(
    lineage: "Lineage", approval: "Approval | None", inputs: "list[ScoredInput]"
) -> dict[str, Any]:
    """Return the lineage as a JSON document; metrics are in the manifest (`releases show`)."""
    manifest = lineage.release.manifest
    return {
        "release": lineage.release.id,
        "mode": manifest.mode,
        "run_id": manifest.run_id,
        "origin": lineage.origin.model_dump(mode="json") if lineage.origin else None,
        "parent": manifest.parent,
        "successors": [each.id for each in lineage.successors],
        "training_set": manifest.training_set.model_dump(mode="json"),
        "same_training_set": [each.id for each in lineage.siblings],
        "gate": manifest.gate.model_dump(mode="json"),
        "approval": _make_approval_document(approval) if approval else None,
        "promotions": [each.model_dump(mode="json") for each in lineage.promotions],
        "windows": [_make_window_document(each) for each in lineage.windows],
        "predictions": [asdict(each) for each in inputs],
    }


def _make_approval_document(approval: "Approval") -> dict[str, Any]:
    request, decision = approval.request, approval.decision
    return {
        "state": approval.state,
        "request": request.model_dump(mode="json") if request else None,
        "decision": decision.model_dump(mode="json") if decision else None,
    }


def _make_window_document(window: "MonitoredWindow") -> dict[str, Any]:
    verdict, accuracy = window.verdict, window.accuracy
    return {
        "window_end": verdict.window_end,
        "verdict": verdict.verdict,
        "rows": verdict.window_rows,
        "measured": accuracy.measured.accuracy if accuracy and accuracy.measured else None,
        "estimated": accuracy.estimate.accuracy if accuracy and accuracy.estimate else None,
        "decision": window.decision.action if window.decision else None,
    }


def _describe(
    lineage: "Lineage", approval: "Approval | None", inputs: "list[ScoredInput]"
) -> Iterator[tuple[str, str]]:
    yield from _describe_origin(lineage)
    yield from _describe_evaluation(lineage)
    if approval:
        yield from _describe_approval(approval)
    for event in lineage.promotions:
        yield "promotion", _describe_promotion(event)
    for window in lineage.windows:
        yield "window", _describe_window(window)
    for scored in inputs:
        yield "predictions", f"{scored.uri}: {scored.rows:,} objects, {scored.labelled:,} labelled"


def _describe_origin(lineage: "Lineage") -> Iterator[tuple[str, str]]:
    manifest = lineage.release.manifest
    data = manifest.training_set
    yield "release", f"{lineage.release.id} ({manifest.mode})"
    yield "run", manifest.run_id
    if lineage.origin:
        end = f"{lineage.origin.window_end:%Y-%m-%d %H:%M}"
        yield "started by", f"the decision after the window ending {end}: {lineage.origin.reason}"
    yield "training set", f"{data.table}, version {data.version}"
    yield "rows", f"{data.row_counts}, {data.synthetic_rows:,} of them simulated"
    yield "nights", f"MJD {data.first_mjd} to {data.watermark}"
    for each in lineage.siblings:
        yield "same data", each.id


def _describe_evaluation(lineage: "Lineage") -> Iterator[tuple[str, str]]:
    manifest = lineage.release.manifest
    for split, metrics in manifest.metrics.items():
        scores = f"accuracy {metrics.accuracy:.4f}, macro-F1 {metrics.macro_f1:.4f}"
        yield "evaluation", f"{split.replace('_', ' ')}: {scores}, {metrics.rows:,} rows"
    yield "gate", f"{'passed' if manifest.gate.passed else 'failed'}: {manifest.gate.reason}"
    yield "parent", manifest.parent or "none"
    for each in lineage.successors:
        yield "successor", each.id


def _describe_approval(approval: "Approval") -> Iterator[tuple[str, str]]:
    if approval.request:
        time = f"{approval.request.time:%Y-%m-%d %H:%M}"
        yield "approval", f"requested {time}: {approval.request.reason}"
    if decision := approval.decision:
        yield "approval", f"{approval.state} by {decision.by}: {decision.reason}"
    else:
        yield "approval", approval.state


def _describe_promotion(event: "Promotion") -> str:
    change = f"{(event.from_release or 'none')[:12]} -> {event.to_release[:12]}"
    by = f"approved by {event.approved_by}, " if event.approved_by else ""
    return f"{event.time:%Y-%m-%d %H:%M}  {change}  {by}run {event.run_id}: {event.reason}"


def _describe_window(window: "MonitoredWindow") -> str:
    document = _make_window_document(window)
    measured = document["measured"]
    accuracy = "no labels" if measured is None else f"accuracy {measured:.4f}"
    verdict = document["verdict"].replace("_", " ")
    return (
        f"{document['window_end']:%Y-%m-%d %H:%M}  {verdict}, {document['rows']:,} rows, {accuracy}"
    )
