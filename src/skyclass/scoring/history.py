"""What a release predicted day by day, and what turned out to be true."""

from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from skyclass.settings import Settings
from skyclass.tables.predictions import PredictionsTable

_COLUMNS = ["predicted", "class", "scored_at"]
_COUNTED = ["day", "predicted", "class"]


@dataclass(frozen=True)
class ScoredDay:
    """The objects that a release answered for the first time on a day.

    Attributes:
        day: The day (UTC).
        rows: How many there were.
        predicted: How many were taken for each class.
        labelled: How many have a label by now.
        right: To how many of these the label gives right.
    """

    day: date
    rows: int
    predicted: dict[str, int]
    labelled: int
    right: int


def daily_history(settings: Settings, model_version: str) -> list[ScoredDay]:
    """Count a release's predictions in batches by day, beside the labels that have come since.

    A label that comes late is in the observations table's newer files, so the next scoring of that
    table brings it here. The table is streamed: memory does not depend on its size.

    Args:
        settings: Where the predictions table is.
        model_version: The release.

    Returns:
        The days on which it answered, the oldest first; none before anything has been scored.
    """
    table = PredictionsTable(settings)
    if table.newest_version() is None:
        return []
    parts = [_count(batch) for batch in table.batches(model_version, _COLUMNS)]
    if not parts:
        return []
    counts = pa.concat_tables(parts).group_by(_COUNTED).aggregate([("rows", "sum")]).to_pandas()
    found = []
    for day, rows in counts.groupby("day"):
        labelled = rows.dropna(subset="class")
        right = labelled.loc[labelled["predicted"] == labelled["class"], "rows_sum"]
        found.append(
            ScoredDay(
                day=date.fromisoformat(str(day)),
                rows=int(rows["rows_sum"].sum()),
                predicted={
                    str(name): int(count)
                    for name, count in rows.groupby("predicted")["rows_sum"].sum().items()
                },
                labelled=int(labelled["rows_sum"].sum()),
                right=int(right.sum()),
            )
        )
    return found


def _count(batch: pa.RecordBatch) -> pa.Table:
    rows = pa.table(batch)
    day = pc.strftime(rows["scored_at"], "%Y-%m-%d")
    counted = rows.append_column("day", day).group_by(_COUNTED).aggregate([([], "count_all")])
    return counted.select([*_COUNTED, "count_all"]).rename_columns([*_COUNTED, "rows"])
