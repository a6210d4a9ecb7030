"""The JSON documents that outlive a process: manifests, evaluations, verdicts of the gate."""

from datetime import datetime
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skyclass.errors import ReleaseError
from skyclass.survey.features import Mode


class Document(BaseModel):
    """A strict, immutable JSON document: no unknown fields, no NaN, no infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def to_bytes(self) -> bytes:
        """The document as UTF-8 JSON, indented for people, the same bytes for the same content."""
        return self.model_dump_json(indent=2).encode() + b"\n"


D = TypeVar("D", bound=Document)


def parse_document(kind: type[D], data: bytes, where: str) -> D:
    """Parse a JSON document from the models bucket.

    Args:
        kind: The class of the document.
        data: UTF-8 JSON.
        where: Names the document in messages.

    Raises:
        ReleaseError: It is malformed; the message names the first field that is.
    """
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ReleaseError(
            f"{where}: not a {kind.__name__.lower()} of this version ({field}: {first['msg']}): "
            "publish it anew"
        ) from error


class ClassScores(Document):
    """How well one class is recognised.

    Attributes:
        precision: Share of the objects called by this name that are of this class.
        recall: Share of the objects of this class that are called by this name.
        f1: Harmonic mean of the two.
        support: Rows of this class.
    """

    precision: float
    recall: float
    f1: float
    support: int


class Evaluation(Document):
    """Measured quality on one set of rows that the model has not seen.

    Attributes:
        mode: The mode of the model.
        split: `random_holdout` or `temporal_holdout`.
        rows: How many rows were judged.
        accuracy: Share of rows with the right class.
        macro_f1: Mean of the classes' F1.
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
    """What a model was trained on; the table at that version can always be read again.

    Attributes:
        table: URI of the observations table.
        version: The table's version.
        rows: Labelled, complete rows that were used, hold-outs included.
        first_mjd: The oldest night among them.
        watermark: The newest night among them (MJD).
        synthetic_rows: How many of them were simulated.
    """

    table: str
    version: int
    rows: int
    first_mjd: int
    watermark: int
    synthetic_rows: int


class OnnxParity(Document):
    """Whether the ONNX model answers as the joblib model does.

    Attributes:
        passed: Whether the predictor may serve the ONNX model.
        reason: In words.
        rows: Rows on which both were asked.
        label_mismatches: Rows on which the classes differ.
        max_difference: Largest difference of a probability.
        faster_below: Tables of so many rows or more the joblib model answers faster, as measured
            when it was exported; none is when there is no such number.
    """

    passed: bool
    reason: str
    rows: int = 0
    label_mismatches: int = 0
    max_difference: float = 0.0
    faster_below: int | None = None


class GateVerdict(Document):
    """Whether a challenger may become the champion.

    Attributes:
        passed: Whether it may.
        reason: In words.
        champion: Release that it was compared with, if there was one.
        champion_macro_f1: That release's macro-F1 on the same rows.
        challenger_macro_f1: The challenger's.
        rows: How many rows both were judged on.
    """

    passed: bool
    reason: str
    champion: str | None = None
    champion_macro_f1: float | None = None
    challenger_macro_f1: float
    rows: int


class FileEntry(Document):
    """A file of a release: its name, size in bytes, SHA-256 in hex."""

    path: str = Field(pattern=r"^\w[\w.-]*$")  # so that no download leaves its folder
    size: int
    sha256: str


class Manifest(Document):
    """What a release is. Its own SHA-256 is the release's id.

    Attributes:
        mode: The mode of the model.
        candidate: Name of the algorithm that won the search.
        inputs: What a caller gives per object.
        features: What the model sees, in order.
        classes: The order of the probabilities.
        libraries: Versions that the model was trained with.
        training_set: What it was trained on.
        metrics: Evaluations by split.
        parity: Whether the ONNX model may be served.
        gate: The gate's verdict.
        parent: The champion when this release was published.
        run_id: The pipeline run that made it.
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
