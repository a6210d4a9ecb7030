"""The manifest of a release, and what it is made of."""

from datetime import datetime

from pydantic import AliasChoices, Field

from skyclass.registry.documents import Document, StoredDocument
from skyclass.registry.label_sets import LabelSets
from skyclass.registry.preference import Preference
from skyclass.registry.purity import PurityCuts
from skyclass.registry.verdicts import GateVerdict
from skyclass.storage.formats import Format
from skyclass.survey.features import Mode


class ClassScores(Document):
    """Scores of one class.

    Attributes:
        precision: Share of the rows predicted as this class that are of this class.
        recall: Share of the rows of this class that are predicted as this class.
        f1: Harmonic mean of precision and recall.
        support: Rows of this class.
    """

    precision: float
    recall: float
    f1: float
    support: int


class Evaluation(Document):
    """Scores of a model on rows that it was not trained on.

    Attributes:
        mode: The mode of the model.
        split: `random_holdout` or `temporal_holdout`.
        rows: Rows evaluated.
        accuracy: Share of rows with the right class.
        macro_f1: Mean F1 of the classes.
        log_loss: Mean negative log-likelihood of the true class (nats).
        calibration_error: Expected calibration error of the highest probability, 15 equal bins
            (Naeini et al. 2015).
        classes: Scores per class.
        confusion: Rows are true classes, columns predicted ones, both in the order of `CLASSES`.
    """

    mode: Mode
    split: str
    rows: int
    accuracy: float
    macro_f1: float
    log_loss: float
    calibration_error: float
    classes: dict[str, ClassScores]
    confusion: tuple[tuple[int, ...], ...]


class TrainingSet(StoredDocument):
    """The rows that a model was trained on, as a version of the observations table.

    Attributes:
        table: URI of the observations table.
        version: Version of the table; it stays readable.
        rows: Labelled, complete rows used, hold-outs included.
        first_mjd: Oldest night (MJD).
        watermark: Newest night (MJD).
        synthetic_rows: Number of simulated rows.
        sampled_from: Labelled, complete rows of these nights that the rows are a sample of; None
            if they are all.
    """

    stored_format = Format("training set", "0.2.0")

    table: str
    version: int
    rows: int
    first_mjd: int
    watermark: int
    synthetic_rows: int
    sampled_from: int | None = None

    @property
    def row_counts(self) -> str:
        """The number of rows in words, and of those that they are a sample of."""
        sample = f", a sample of {self.sampled_from:,}" if self.sampled_from else ""
        return f"{self.rows:,}{sample}"


MAX_FORMAT_DIFFERENCE = 1e-4
"""Largest difference of a probability at which the two formats of a model still agree."""


class OnnxParity(Document):
    """Comparison of the ONNX model with the joblib model.

    Attributes:
        passed: Whether the predictor may serve the ONNX model.
        reason: Why.
        rows: Rows compared.
        label_mismatches: Rows whose predicted classes differ.
        max_difference: Largest absolute difference of a probability.
        joblib_faster_from_rows: Not used; older manifests have the batch size from which the joblib
            model was faster than ONNX then. Manifests of version 0.1.0 call it `faster_below`.
    """

    passed: bool
    reason: str
    rows: int = 0
    label_mismatches: int = 0
    max_difference: float = 0.0
    joblib_faster_from_rows: int | None = Field(
        default=None, validation_alias=AliasChoices("joblib_faster_from_rows", "faster_below")
    )


ALL_GROUPS = "all"
"""Name of the scores of all groups of optional inputs together."""


class GroupScores(Document):
    """What a group of optional inputs is worth, on the rows of the random hold-out that have it.

    Attributes:
        rows: Rows that have the group.
        accuracy: Share of these rows with the right class.
        macro_f1: Mean F1 of the classes.
        accuracy_without: The same share without the group; other groups stay.
        macro_f1_without: Mean F1 of the classes without the group.
    """

    rows: int
    accuracy: float
    macro_f1: float
    accuracy_without: float
    macro_f1_without: float


class BandScores(Document):
    """Scores on the random hold-out without the measurements of one band.

    Attributes:
        rows: Rows evaluated.
        accuracy: Share of rows with the right class.
        macro_f1: Mean F1 of the classes.
    """

    rows: int
    accuracy: float
    macro_f1: float


class FileEntry(Document):
    """A file of a release: name, size in bytes, SHA-256 in hex."""

    path: str = Field(pattern=r"^\w[\w.-]*$")  # a download cannot leave its folder
    size: int
    sha256: str


class Manifest(StoredDocument):
    """The content of a release. The SHA-256 of its bytes is the release's id.

    Attributes:
        mode: The mode of the model.
        candidate: Name of the algorithm that won the search.
        settings: Its settings that differ from the default ones. Empty in releases of 0.1.0.
        calibration: How its probabilities are calibrated: `none`, `temperature` or `sigmoid`.
        inputs: Columns that a caller sends per object.
        features: Columns that the model takes, in order.
        classes: Order of the probabilities.
        libraries: Versions that the model was trained with.
        training_set: Rows that the model was trained on.
        metrics: Evaluations by split.
        groups: Scores by group of optional inputs, for the groups that the model uses. Empty in
            spectroscopic mode and in older releases.
        missing_bands: Scores by band, for the bands that a row may lack. Empty if the model needs
            all of them.
        parity: Whether the ONNX model may be served.
        gate: Verdict of the gate.
        parent: Id of the champion when this release was published.
        run_id: The pipeline run that trained it.
        created_at: When (UTC).
        label_sets: Thresholds of the label sets. None in releases of 0.1.0.
        purity_cuts: Cuts for pure samples. None in releases of 0.1.0.
        memory: By how much a predictor grows to load the model and predict its largest request
            (bytes). None in releases of 0.1.0, and where it could not be measured.
        preference: Why the search selected this model instead of one with a lower log-loss, if it
            did.
        files: Every other file of the release.
    """

    stored_format = Format("manifest", "0.2.0")

    mode: Mode
    candidate: str
    settings: dict[str, int | float] = Field(default_factory=dict)
    calibration: str = "none"
    inputs: tuple[str, ...]
    features: tuple[str, ...]
    classes: tuple[str, ...]
    libraries: dict[str, str]
    training_set: TrainingSet
    metrics: dict[str, Evaluation]
    groups: dict[str, GroupScores] = Field(default_factory=dict)
    missing_bands: dict[str, BandScores] = Field(default_factory=dict)
    parity: OnnxParity
    gate: GateVerdict
    parent: str | None
    run_id: str
    created_at: datetime
    label_sets: LabelSets | None = None
    purity_cuts: PurityCuts | None = None
    memory: int | None = None
    preference: Preference | None = None
    files: tuple[FileEntry, ...]

    @property
    def inputs_worth(self) -> float:
        """Accuracy that the model loses on the hold-out without its optional inputs, as a share."""
        losses = (each.accuracy - each.accuracy_without for each in self.groups.values())
        return max(0.0, *losses) if self.groups else 0.0

    @property
    def random_holdout(self) -> Evaluation | None:
        """Metrics on the random hold-out, if recorded."""
        return self.metrics.get("random_holdout")
