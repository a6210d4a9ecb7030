"""The result of a run as a short Markdown page, which KFP shows beside the run."""

from collections.abc import Callable, Mapping

from skyclass.registry.manifest import Evaluation
from skyclass.registry.releases import Release
from skyclass.training.reports.checks import render_checks_markdown

_METRICS: Mapping[str, Callable[[Evaluation], float]] = {
    "accuracy": lambda found: found.accuracy,
    "macro-F1": lambda found: found.macro_f1,
    "QSO recall": lambda found: found.classes["QSO"].recall,
    "log-loss": lambda found: found.log_loss,
    "calibration error": lambda found: found.calibration_error,
}


def render_result(
    release: Release,
    promoted: bool,
    verdict: str,
    champion: Evaluation | None,
    waits_for_approval: bool = False,
) -> str:
    """Render whether a release was promoted and why, its metrics, and the checks of the gate.

    Args:
        release: The published release.
        promoted: Whether it became the champion.
        verdict: Reason for the promotion, or against it.
        champion: Metrics of the champion that it was compared with, on the same rows.
        waits_for_approval: Whether it waits until a person approves it.
    """
    manifest = release.manifest
    random = manifest.metrics["random_holdout"]
    outcome = "Promoted" if promoted else "Not promoted"
    outcome = "Waits for approval" if waits_for_approval else outcome
    rows = f"{random.rows:,} rows of the random hold-out"
    data = manifest.training_set
    checks = manifest.gate.checks
    return "\n".join(
        [
            f"# {outcome}: {manifest.candidate.replace('_', ' ')}, {manifest.mode} mode",
            "",
            f"**Verdict:** {verdict}.",
            "",
            *(_render_commands(release) if waits_for_approval else ()),
            "| metric | this release | champion | difference |",
            "|---|---|---|---|",
            *(_render_row(name, read, random, champion) for name, read in _METRICS.items()),
            "",
            f"Both on the same {rows}." if champion else f"On {rows}; there was no champion.",
            _render_temporal(manifest.metrics.get("temporal_holdout")),
            "",
            f"- Release: `{release.id}`",
            f"- Champion at the evaluation: `{manifest.gate.champion or 'none'}`",
            f"- Training set: {data.row_counts} rows ({data.synthetic_rows:,} simulated) of "
            f"version {data.version} of the observations table, nights {data.first_mjd} to "
            f"{data.watermark} (MJD)",
            "",
            *(("## Checks of the gate", "", render_checks_markdown(checks)) if checks else ()),
        ]
    )


def _render_commands(release: Release) -> list[str]:
    """Render how to decide about a release that waits."""
    command = f"skyclass promote {release.id[:12]}"
    return [
        "To serve it, or to decide against it:",
        "",
        "```sh",
        f'{command} --approve --reason "why"',
        f'{command} --decline --reason "why"',
        "```",
        "",
    ]


def _render_row(
    name: str,
    read: Callable[[Evaluation], float],
    challenger: Evaluation,
    champion: Evaluation | None,
) -> str:
    value = read(challenger)
    if champion is None:
        return f"| {name} | {value:.4f} | - | - |"
    other = read(champion)
    return f"| {name} | {value:.4f} | {other:.4f} | {value - other:+.4f} |"


def _render_temporal(temporal: Evaluation | None) -> str:
    if temporal is None:
        return "There is no temporal hold-out."
    return (
        f"On the temporal hold-out: accuracy {temporal.accuracy:.4f}, macro-F1 "
        f"{temporal.macro_f1:.4f}, {temporal.rows:,} rows."
    )
