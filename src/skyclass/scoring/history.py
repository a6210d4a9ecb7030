"""What was predicted day by day, and what turned out to be true."""

import pandas as pd
import pyarrow.compute as pc

from skyclass.scoring.predictions import PredictionsTable
from skyclass.settings import Settings

_COUNTED = ["day", "predicted", "class"]


def daily_history(settings: Settings, model_version: str) -> pd.DataFrame:
    """Count a release's predictions by the day they were first made, beside the labels.

    A label that comes late is in the observations table's newer files, so the next scoring of that
    table brings it here.

    Args:
        settings: Where the predictions table is.
        model_version: The release.

    Returns:
        Columns `day` (UTC), `predicted`, `class` (null where there is no label yet) and `rows`.
    """
    rows = PredictionsTable(settings).read(model_version, ["predicted", "class", "scored_at"])
    day = pc.strftime(rows["scored_at"], "%Y-%m-%d")
    counted = rows.append_column("day", day).group_by(_COUNTED).aggregate([([], "count_all")])
    order = [(name, "ascending") for name in _COUNTED]
    return counted.rename_columns([*_COUNTED, "rows"]).sort_by(order).to_pandas()
