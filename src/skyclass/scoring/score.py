"""Score an input with a release: streamed, resumable, each object once."""

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyclass.errors import CatalogError, ReleaseError, StoreError
from skyclass.promotion.champions import open_champion_store
from skyclass.registry.models import LoadedModel, download_model
from skyclass.registry.releases import Registry, Release
from skyclass.scoring.inputs import Input, Piece
from skyclass.settings import Settings
from skyclass.storage.prefetch import prefetch
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import CLASSES, KEY, NOT_MEASURED, most_probable_classes
from skyclass.tables.prediction_log import PROBABILITIES
from skyclass.tables.predictions import SCHEMA, SOURCE_ID, SPEC, PredictionsTable

logger = logging.getLogger(__name__)

CALL_ROWS = 10_000
"""Rows that a model is asked about at once, as in the endpoint's largest request: a support vector
machine or a network needs many times a row's own memory for each."""


@dataclass(frozen=True)
class ScoringResult:
    """Number of rows read by a scoring run, and their outcome.

    Attributes:
        source: The input.
        release: Id of the release that scored.
        mode: Its mode.
        version: The predictions table's version afterwards.
        rows_in: Rows read; rows that an earlier run scored are not read again.
        inserted: Objects that this release had not scored before.
        updated: Objects whose measurements or label have changed since.
        duplicates: Objects that it had scored before, or that occurred twice.
        incomplete: Rows without a key or without an input.
    """

    source: str
    release: str
    mode: Mode
    version: int = 0
    rows_in: int = 0
    inserted: int = 0
    updated: int = 0
    duplicates: int = 0
    incomplete: int = 0

    @property
    def balanced(self) -> bool:
        """Whether every row read is accounted for."""
        accounted = self.inserted + self.updated + self.duplicates + self.incomplete
        return self.rows_in == accounted


@dataclass(frozen=True)
class Shard:
    """One of several equal parts of an input: part `number`, from 0, of `of`."""

    number: int = 0
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read `0/4`, the first of four.

        Raises:
            CatalogError: It is none.
        """
        number, _, of = text.partition("/")
        if not (number.isdigit() and of.isdigit() and int(number) < int(of)):
            raise CatalogError(f"{text!r} is no shard: write 0/4 for the first of four")
        return cls(int(number), int(of))


def find_release(settings: Settings, mode: Mode, name: str) -> Release:
    """The release of a name, or the champion when the name is `champion`.

    Raises:
        ReleaseError: There is none, or it is of the other mode.
    """
    if name == "champion":
        found = open_champion_store(settings).get_champion(mode)
        if found is None:
            raise ReleaseError(f"there is no {mode} champion yet: train one, or name a release")
        return found
    found = Registry(ObjectStore(settings)).find(name)
    if found.mode != mode:
        raise ReleaseError(f"release {name} is of mode {found.mode}, not {mode}: say --mode")
    return found


def score(
    settings: Settings,
    given: Input,
    release: Release,
    shard: Shard = Shard(),
    progress: Callable[[int], None] = lambda rows: None,
) -> ScoringResult:
    """Score what a release has not yet scored of an input.

    Each chunk of rows is committed together with how far its piece has been read, so a kill loses
    and doubles nothing. Memory does not depend on the size of the input.

    Args:
        settings: Where the registry and the predictions table are.
        given: What is scored.
        release: What answers.
        shard: The part of the input that is meant.
        progress: Told how many rows have been read, after each chunk.

    Raises:
        CatalogError: The input lacks a column.
        ReleaseError: The release is not what its manifest says.
        StoreError: The object store failed, or the accounting does not balance.
    """
    table = PredictionsTable(settings)
    total = ScoringResult(given.uri, release.id, release.mode, version=0)
    model = download_model(Registry(ObjectStore(settings)), release)
    for piece in given.pieces[shard.number :: shard.of]:
        watermark_id = f"{piece.id}#{release.id}"
        position = table.watermark(watermark_id)
        for rows_in, rows, unique in prefetch(_answers(given, piece, model, position)):
            merged = table.merge(
                unique, watermark_id, position, position + rows_in, always_commit=True
            )
            position += rows_in
            total = replace(
                total,
                version=merged.version,
                rows_in=total.rows_in + rows_in,
                inserted=total.inserted + merged.inserted,
                updated=total.updated + merged.updated,
                duplicates=total.duplicates + rows - merged.inserted - merged.updated,
                incomplete=total.incomplete + rows_in - rows,
            )
            progress(total.rows_in)
    if not total.balanced:
        raise StoreError(f"the accounting of {given.uri} does not balance ({total}): report it")
    return total


def _answers(
    given: Input, piece: Piece, model: LoadedModel, after: int
) -> Iterator[tuple[int, int, pa.Table]]:
    """For each chunk: its rows, how many of them are complete, and the answers for these."""
    mode = model.release.mode
    for chunk in given.chunks(piece, mode, after):
        complete = chunk.filter(_complete(chunk, mode))
        inputs = np.column_stack([complete[name].to_numpy() for name in INPUTS[mode]])
        probabilities = _probabilities(model, inputs)
        answers = {
            **{name: complete[name] for name in complete.column_names},
            **dict(zip(PROBABILITIES, probabilities.T, strict=True)),
            "predicted": most_probable_classes(probabilities),
            "model_version": model.release.id,
            "mode": str(mode),
            "source": given.uri,
            "scored_at": datetime.now(UTC),
        }
        yield chunk.num_rows, complete.num_rows, _last_of_each(_table(answers, complete.num_rows))


def _probabilities(model: LoadedModel, inputs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ask the model, whose own threads are one, on all cores."""
    if not len(inputs):
        return np.empty((0, len(CLASSES)))
    calls = np.array_split(inputs, -(-len(inputs) // CALL_ROWS))
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return np.concatenate(list(pool.map(model.probabilities, calls)), dtype=np.float64)


def _complete(chunk: pa.Table, mode: Mode) -> pa.ChunkedArray:
    """Which rows have a key and all inputs; the survey's sentinel is no value."""
    named = [name for name in SPEC.key if name in chunk.column_names]
    checks = [pc.greater(chunk[name], 0) for name in named]
    checks += [
        pc.and_(pc.is_finite(chunk[name]), pc.not_equal(chunk[name], NOT_MEASURED))
        for name in INPUTS[mode]
    ]
    found = checks[0]
    for each in checks[1:]:
        found = pc.and_(found, each)
    return pc.fill_null(found, False)


def _table(answers: dict[str, object], rows: int) -> pa.Table:
    """Columns of the predictions table; what is not given is 0 in the key, else null."""
    columns = []
    for field in SCHEMA:
        value = answers.get(field.name, 0 if field.name in (SOURCE_ID, *KEY) else None)
        if isinstance(value, pa.ChunkedArray | pa.Array):
            columns.append(value.cast(field.type))
        elif isinstance(value, np.ndarray):
            columns.append(pa.array(value, field.type))
        else:
            columns.append(pa.repeat(pa.scalar(value, field.type), rows))
    return pa.table(columns, schema=SCHEMA)


def _last_of_each(rows: pa.Table) -> pa.Table:
    """One row for each object: the last, should it come twice."""
    twice = rows.select(list(SPEC.key)).to_pandas().duplicated(keep="last")
    return rows.filter(pa.array(~twice)) if twice.any() else rows
