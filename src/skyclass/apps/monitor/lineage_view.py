"""Template variables of a release's page: its lineage, from the run to the predictions."""

from typing import Any, NamedTuple

from skyclass.monitoring.lineage import Lineage
from skyclass.monitoring.runs import make_run_link
from skyclass.monitoring.verdict import Verdict
from skyclass.registry import releases as release_files
from skyclass.registry.releases import Release
from skyclass.tables.prediction_history import ScoredInput


class Step(NamedTuple):
    """A step of the lineage, as the summary at the top of the page shows it.

    Attributes:
        anchor: Id of its section.
        name: Its name.
        summary: Its result in a few words.
    """

    anchor: str
    name: str
    summary: str


def make_lineage_view(
    lineage: Lineage, inputs: list[ScoredInput], champion: Release | None, kfp_url: str
) -> dict[str, Any]:
    """Return the variables of the page.

    Args:
        lineage: Lineage of the release.
        inputs: The inputs that it has scored.
        champion: The champion of its mode.
        kfp_url: URL of KFP's user interface; may be empty.
    """
    files = {each.path for each in lineage.release.manifest.files}
    is_champion = champion is not None and champion.id == lineage.release.id
    return {
        "lineage": lineage,
        "inputs": inputs,
        "is_champion": is_champion,
        "run_link": _find_run_link(lineage, kfp_url),
        "steps": _summarise(lineage, inputs, is_champion),
        "has_report": release_files.REPORT in files,
        "has_card": release_files.MODEL_CARD in files,
    }


def _find_run_link(lineage: Lineage, kfp_url: str) -> str | None:
    """Return the link that was stored when the run was started, or one to the configured KFP."""
    run = lineage.origin.run if lineage.origin else None
    stored = run.link if run else None
    link = stored or make_run_link(lineage.release.manifest.run_id, kfp_url)
    return link if link and link.startswith(("http://", "https://")) else None


def _summarise(lineage: Lineage, inputs: list[ScoredInput], is_champion: bool) -> list[Step]:
    manifest = lineage.release.manifest
    data, random = manifest.training_set, manifest.random_holdout
    gate = "gate passed" if manifest.gate.passed else "gate failed"
    drifted = sum(each.verdict.verdict is Verdict.DRIFT for each in lineage.windows)
    count = len(lineage.windows)
    objects = sum(each.rows for each in inputs)
    return [
        Step("run", "Run", manifest.run_id),
        Step("data", "Training set", f"version {data.version}, {data.rows:,} rows"),
        Step(
            "evaluation",
            "Evaluation",
            f"accuracy {random.accuracy:.1%}, {gate}" if random else gate,
        ),
        Step("promotions", "Promotions", _describe_status(lineage, is_champion)),
        Step("windows", "Windows", f"{count}, {drifted} drifted" if count else "none"),
        Step("predictions", "Batch predictions", f"{objects:,} objects" if objects else "none"),
    ]


def _describe_status(lineage: Lineage, is_champion: bool) -> str:
    if is_champion:
        return "champion"
    if not lineage.promotions:
        return "never promoted"
    return f"replaced on {lineage.promotions[-1].time:%Y-%m-%d}"
