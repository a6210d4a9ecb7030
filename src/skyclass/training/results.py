"""Results that a training step leaves for the steps after it, as JSON files.

They are separate from the steps, so that reading one does not import scikit-learn.
"""

from pathlib import Path

from pydantic import Field

from skyclass.registry.documents import Document, StoredDocument
from skyclass.registry.label_sets import LabelSets
from skyclass.registry.manifest import BandScores, Evaluation, GroupScores, OnnxParity
from skyclass.registry.purity import PurityCuts
from skyclass.registry.verdicts import GateVerdict, Outcome
from skyclass.storage.formats import Format
from skyclass.survey.features import InputGroup
from skyclass.training.candidates import Calibration
from skyclass.training.search_result import SearchResult

NOTED_DIFFERENCE = 0.02
"""Difference of the shares of rows that have a group, between classes, from which it is noted."""

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
_P_VALUES = {
    "p_better": ("policy",),
    "p_worse": ("random_holdout", "temporal_holdout"),
    "p_worse_slice": ("slice",),
}
"""The smallest p-values of these groups of checks are shown."""


class CalibrationScore(Document):
    """Metrics of the winner with one calibration, by cross-validation.

    Attributes:
        method: `none`, or the method.
        log_loss: Mean over the rows (nats).
        gain: By how much the log-loss is lower than without calibration.
        gain_error: Standard error of the gain, from the paired differences of the rows.
        accuracy: Share of rows with the right class.
        calibration_error: Expected calibration error.
    """

    method: Calibration
    log_loss: float
    gain: float
    gain_error: float
    accuracy: float
    calibration_error: float


class CalibrationResult(Document):
    """Outcome of the choice of a calibration.

    Attributes:
        method: The calibration that is served.
        scores: One per method that was compared; empty if the winner declares none.
        rows: Number of rows that were cross-validated.
    """

    method: Calibration = Calibration.NONE
    scores: tuple[CalibrationScore, ...] = ()
    rows: int = 0


class GroupCoverage(Document):
    """How many training rows have a group of optional inputs, and whether a release uses it.

    Attributes:
        group: The group.
        shares: Share of the rows that have it, by class.
        reason: Why the release does not use it; empty if it does.
    """

    group: InputGroup
    shares: dict[str, float]
    reason: str = ""

    @property
    def difference(self) -> float:
        """Difference between the largest and the smallest share."""
        return max(self.shares.values()) - min(self.shares.values())

    @property
    def is_uneven(self) -> bool:
        """Whether reports mention the difference."""
        return self.difference > NOTED_DIFFERENCE


class InputPlan(Document):
    """What a model is fitted on.

    Attributes:
        features: Features of the model, in order.
        candidates: Candidates to compare.
        coverage: The groups that some training rows have.
        bands: Bands that are removed from some rows, so that the model predicts without them.
    """

    features: tuple[str, ...]
    candidates: tuple[str, ...]
    coverage: tuple[GroupCoverage, ...] = ()
    bands: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[InputGroup, ...]:
        """Groups that the model uses."""
        return tuple(each.group for each in self.coverage if not each.reason)


class FitSummary(StoredDocument):
    """Outcome of the fit.

    Attributes:
        search: Outcome of the search.
        calibration: The calibration of the fitted models.
        parity: Outcome of the ONNX parity check.
        libraries: Versions that the model was fitted and exported with.
        inputs: Features of the model, and what it was taught to do without.
    """

    stored_format = Format("outcome of a fit", "0.2.0")

    search: SearchResult
    calibration: CalibrationResult = CalibrationResult()
    parity: OnnxParity
    libraries: dict[str, str]
    inputs: InputPlan

    def save(self, folder: Path) -> None:
        """Write the summary to a folder."""
        (folder / _FIT_SUMMARY).write_bytes(self.to_bytes())

    @classmethod
    def load(cls, folder: Path) -> "FitSummary":
        """Read the summary from the output folder of `fit`."""
        return cls.from_bytes((folder / _FIT_SUMMARY).read_bytes(), _FIT_SUMMARY)


class EvaluationResult(StoredDocument):
    """Output of the step `evaluate`.

    Attributes:
        metrics: Metrics by hold-out.
        gate: Verdict of the gate.
        champion: Metrics of the champion on the random hold-out, if there is a champion.
        label_sets: Thresholds of the label sets.
        purity_cuts: Cuts for pure samples.
        groups: Scores by group of optional inputs that the model uses.
        missing_bands: Scores by band that a row may lack.
        memory: Memory that the model takes where it is served (bytes), if it was measured.
    """

    stored_format = Format("outcome of an evaluation", "0.2.0")

    metrics: dict[str, Evaluation]
    gate: GateVerdict
    champion: Evaluation | None = None
    label_sets: LabelSets | None = None
    purity_cuts: PurityCuts | None = None
    groups: dict[str, GroupScores] = Field(default_factory=dict)
    missing_bands: dict[str, BandScores] = Field(default_factory=dict)
    memory: int | None = None

    def list_metrics(self) -> dict[str, float]:
        """Return metrics and numbers of the gate by the names that KFP shows, in both modes."""
        metrics = {
            f"{name}{suffix}": getattr(self.metrics[split], field)
            for split, suffix in _SUFFIXES.items()
            if split in self.metrics
            for name, field in _METRICS.items()
        }
        return metrics | self._list_gate_numbers()

    def _list_gate_numbers(self) -> dict[str, float]:
        checks = self.gate.checks
        numbers: dict[str, float] = {
            "checks": len(checks),
            "failed_checks": sum(check.outcome is Outcome.FAILED for check in checks),
        }
        for name, groups in _P_VALUES.items():
            p_values = [
                check.p_value
                for check in checks
                if check.group in groups and check.p_value is not None
            ]
            if p_values:
                numbers[name] = min(p_values)
        return numbers

    def save(self, folder: Path) -> None:
        """Write the result to a folder."""
        (folder / _EVALUATION_RESULT).write_bytes(self.to_bytes())

    @classmethod
    def load(cls, folder: Path) -> "EvaluationResult":
        """Read the result from a folder."""
        return cls.from_bytes((folder / _EVALUATION_RESULT).read_bytes(), _EVALUATION_RESULT)
