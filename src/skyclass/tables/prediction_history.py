"""Counts of a release's batch predictions by day and by input, compared with the labels."""

from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from skyclass.settings import Settings
from skyclass.tables.predictions import PredictionsTable

_COLUMNS = ["predicted", "class", "scored_at"]
_GROUP_COLUMNS = ["day", "predicted", "class"]


@dataclass(frozen=True)
class ScoredDay:
    """The objects that a release scored for the first time on one day.

    Attributes:
        day: The day (UTC).
        rows: Number of objects.
        predicted: Number of objects per predicted class.
        labelled: Number of objects whose label is known.
        correct: Number of labelled objects that were classified correctly.
    """

    day: date
    rows: int
    predicted: dict[str, int]
    labelled: int
    correct: int


@dataclass(frozen=True)
class ScoredInput:
    """The objects of one input that a release has scored.

    Attributes:
        uri: Address of the input that the objects were last read from; for a Delta table it
            includes the version.
        rows: Number of objects.
        labelled: Number of objects whose label is known.
        correct: Number of labelled objects that were classified correctly.
        first_scored: When the first of them was first scored (UTC).
        last_scored: When the last of them was first scored (UTC).
    """

    uri: str
    rows: int
    labelled: int
    correct: int
    first_scored: datetime
    last_scored: datetime


def read_daily_history(settings: Settings, model_version: str) -> list[ScoredDay]:
    """Count the predictions of a release by day and compare them with the known labels.

    A late label reaches the predictions table with the next scoring run over the observations
    table. The table is streamed, so memory does not depend on its size.

    Args:
        settings: Location of the predictions table.
        model_version: Id of the release.

    Returns:
        The days with predictions, oldest first; empty if the release has not scored anything.
    """
    table = PredictionsTable(settings)
    if table.newest_version() is None:
        return []
    counts_by_batch = [_count_rows(batch) for batch in table.read_batches(model_version, _COLUMNS)]
    if not counts_by_batch:
        return []
    grouped = pa.concat_tables(counts_by_batch).group_by(_GROUP_COLUMNS)
    counts = grouped.aggregate([("rows", "sum")]).to_pandas()
    days = []
    for day, rows in counts.groupby("day"):
        labelled = rows.dropna(subset="class")
        correct = labelled.loc[labelled["predicted"] == labelled["class"], "rows_sum"]
        days.append(
            ScoredDay(
                day=date.fromisoformat(str(day)),
                rows=int(rows["rows_sum"].sum()),
                predicted={
                    str(name): int(count)
                    for name, count in rows.groupby("predicted")["rows_sum"].sum().items()
                },
                labelled=int(labelled["rows_sum"].sum()),
                correct=int(correct.sum()),
            )
        )
    return days


def read_scored_inputs(settings: Settings, model_version: str) -> list[ScoredInput]:
    """Count the predictions of a release by input; the table is streamed.

    Args:
        settings: Location of the predictions table.
        model_version: Id of the release.

    Returns:
        The inputs in the order in which they were first scored; empty if the release has not
        scored anything.
    """
    table = PredictionsTable(settings)
    if table.newest_version() is None:
        return []
    groups = ["source", "predicted", "class"]
    summaries = [([], "count_all"), ("scored_at", "min"), ("scored_at", "max")]
    counts_by_batch = [
        pa.table(batch).group_by(groups).aggregate(summaries)
        for batch in table.read_batches(model_version, [*groups, "scored_at"])
    ]
    if not counts_by_batch:
        return []
    counts = pa.concat_tables(counts_by_batch).to_pandas()
    inputs = []
    for uri, rows in counts.groupby("source"):
        is_correct = rows["predicted"] == rows["class"]
        inputs.append(
            ScoredInput(
                uri=str(uri),
                rows=int(rows["count_all"].sum()),
                labelled=int(rows.loc[rows["class"].notna(), "count_all"].sum()),
                correct=int(rows.loc[is_correct, "count_all"].sum()),
                first_scored=rows["scored_at_min"].min().to_pydatetime(),
                last_scored=rows["scored_at_max"].max().to_pydatetime(),
            )
        )
    return sorted(inputs, key=lambda each: each.first_scored)


def _count_rows(batch: pa.RecordBatch) -> pa.Table:
    rows = pa.table(batch)
    day = pc.strftime(rows["scored_at"], "%Y-%m-%d")
    counts = rows.append_column("day", day).group_by(_GROUP_COLUMNS).aggregate([([], "count_all")])
    return counts.select([*_GROUP_COLUMNS, "count_all"]).rename_columns([*_GROUP_COLUMNS, "rows"])
