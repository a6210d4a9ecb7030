"""Results that a training step leaves for the steps after it, as JSON files.

They are separate from the steps, so that reading one does not import scikit-learn.
"""

from pathlib import Path

from skyclass.registry.documents import Document
from skyclass.registry.manifest import Evaluation, OnnxParity
from skyclass.registry.verdicts import GateVerdict

FOLDS = 5
"""Folds of the cross-validation."""

_FIT_SUMMARY = "fitted.json"
_EVALUATION_RESULT = "evaluated.json"
_SUFFIXES = {"random_holdout": "", "temporal_holdout": "_temporal"}
_METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "macro_f1",
    "log_loss": "log_loss",
    "ece": "calibration_error",
    "rows": "rows",
}
"""Names as KFP shows them: KFP cuts them off at the right, so they begin with what differs."""


class CandidateScore(Document):
    """Cross-validated metrics of one candidate.

    Attributes:
        candidate: Key of `CANDIDATES`.
        macro_f1: Mean macro-F1 over the folds.
        deviation: Standard deviation of the macro-F1 over the folds.
        log_loss: Mean log-loss over the folds (nats).
        seconds: Duration of the cross-validation.
    """

    candidate: str
    macro_f1: float
    deviation: float
    log_loss: float
    seconds: float


class SearchResult(Document):
    """Outcome of a search.

    Attributes:
        scores: One per candidate, the best macro-F1 first.
        rows: Number of rows that were cross-validated.
    """

    scores: tuple[CandidateScore, ...]
    rows: int

    @property
    def winner(self) -> str:
        """Candidate with the lowest log-loss among those tied for the best macro-F1."""
        best = self.scores[0]
        tied_from = best.macro_f1 - best.deviation / FOLDS**0.5
        tied = [score for score in self.scores if score.macro_f1 >= tied_from]
        return min(tied, key=lambda score: score.log_loss).candidate


class FitSummary(Document):
    """Outcome of the fit.

    Attributes:
        search: Outcome of the search.
        parity: Outcome of the ONNX parity check.
        libraries: Versions that the model was fitted and exported with.
    """

    search: SearchResult
    parity: OnnxParity
    libraries: dict[str, str]

    def save(self, folder: Path) -> None:
        """Write the summary to a folder."""
        (folder / _FIT_SUMMARY).write_bytes(self.to_bytes())

    @classmethod
    def load(cls, folder: Path) -> "FitSummary":
        """Read the summary from the output folder of `fit`."""
        return cls.model_validate_json((folder / _FIT_SUMMARY).read_bytes())


class EvaluationResult(Document):
    """Output of the step `evaluate`.

    Attributes:
        metrics: Metrics by hold-out.
        gate: Verdict of the gate.
        champion: Metrics of the champion on the random hold-out, if there is a champion.
    """

    metrics: dict[str, Evaluation]
    gate: GateVerdict
    champion: Evaluation | None = None

    def list_metrics(self) -> dict[str, float]:
        """Return the metrics by the names that KFP shows, the same in both modes."""
        return {
            f"{name}{suffix}": getattr(self.metrics[split], field)
            for split, suffix in _SUFFIXES.items()
            if split in self.metrics
            for name, field in _METRICS.items()
        }

    def save(self, folder: Path) -> None:
        """Write the result to a folder."""
        (folder / _EVALUATION_RESULT).write_bytes(self.to_bytes())

    @classmethod
    def load(cls, folder: Path) -> "EvaluationResult":
        """Read the result from a folder."""
        return cls.model_validate_json((folder / _EVALUATION_RESULT).read_bytes())
