"""The manifest of a release, and the JSON documents that it is made of."""

from datetime import datetime
from typing import TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from skyclass.errors import ReleaseError
from skyclass.survey.features import Mode


class Document(BaseModel):
    """A strict, immutable JSON document: no unknown fields, no NaN, no infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def to_bytes(self) -> bytes:
        """Serialise to indented UTF-8 JSON; equal documents yield equal bytes."""
        return self.model_dump_json(indent=2).encode() + b"\n"


D = TypeVar("D", bound=Document)


def parse_document(kind: type[D], data: bytes, where: str) -> D:
    """Parse a JSON document.

    Args:
        kind: Class of the document.
        data: UTF-8 JSON.
        where: Names the document in messages.

    Raises:
        ReleaseError: The document is malformed; the message names the first malformed field.
    """
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ReleaseError(
            f"{where}: not a {kind.__name__.lower()} of this version ({field}: {first['msg']}): "
            "publish it again"
        ) from error


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


class TrainingSet(Document):
    """The rows that a model was trained on, as a version of the observations table.

    Attributes:
        table: URI of the observations table.
        version: Version of the table; it stays readable.
        rows: Labelled, complete rows used, hold-outs included.
        first_mjd: Oldest night (MJD).
        watermark: Newest night (MJD).
        synthetic_rows: Number of simulated rows.
    """

    table: str
    version: int
    rows: int
    first_mjd: int
    watermark: int
    synthetic_rows: int


class OnnxParity(Document):
    """Comparison of the ONNX model with the joblib model.

    Attributes:
        passed: Whether the predictor may serve the ONNX model.
        reason: Why.
        rows: Rows compared.
        label_mismatches: Rows whose predicted classes differ.
        max_difference: Largest absolute difference of a probability.
        joblib_faster_from_rows: Batch size from which the joblib model is faster, as measured at
            export; None if it never is. Manifests of version 0.1.0 call it `faster_below`.
    """

    passed: bool
    reason: str
    rows: int = 0
    label_mismatches: int = 0
    max_difference: float = 0.0
    joblib_faster_from_rows: int | None = Field(
        default=None, validation_alias=AliasChoices("joblib_faster_from_rows", "faster_below")
    )


class GateVerdict(Document):
    """Whether a challenger may become the champion.

    Attributes:
        passed: Whether it may.
        reason: Why.
        champion: Id of the release it was compared with; None if there was no champion.
        champion_macro_f1: Macro-F1 of that release on the same rows.
        challenger_macro_f1: Macro-F1 of the challenger.
        rows: Rows both were evaluated on.
    """

    passed: bool
    reason: str
    champion: str | None = None
    champion_macro_f1: float | None = None
    challenger_macro_f1: float
    rows: int


class FileEntry(Document):
    """A file of a release: name, size in bytes, SHA-256 in hex."""

    path: str = Field(pattern=r"^\w[\w.-]*$")  # a download cannot leave its folder
    size: int
    sha256: str


class Manifest(Document):
    """The content of a release. The SHA-256 of its bytes is the release's id.

    Attributes:
        mode: The mode of the model.
        candidate: Name of the algorithm that won the search.
        inputs: Columns that a caller sends per object.
        features: Columns that the model takes, in order.
        classes: Order of the probabilities.
        libraries: Versions that the model was trained with.
        training_set: Rows that the model was trained on.
        metrics: Evaluations by split.
        parity: Whether the ONNX model may be served.
        gate: Verdict of the gate.
        parent: Id of the champion when this release was published.
        run_id: The pipeline run that trained it.
        created_at: When (UTC).
        files: Every other file of the release.
    """

    mode: Mode
    candidate: str
    inputs: tuple[str, ...]
    features: tuple[str, ...]
    classes: tuple[str, ...]
    libraries: dict[str, str]
    training_set: TrainingSet
    metrics: dict[str, Evaluation]
    parity: OnnxParity
    gate: GateVerdict
    parent: str | None
    run_id: str
    created_at: datetime
    files: tuple[FileEntry, ...]
