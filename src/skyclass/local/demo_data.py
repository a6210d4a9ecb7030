"""Splits the observations of the demo by night, as if they arrived over years."""

from dataclasses import dataclass

import pandas as pd

from skyclass.errors import CatalogError
from skyclass.ingest.validation import validate_rows
from skyclass.sources import open_source
from skyclass.sources.simulated import is_synthetic
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import FIRST_MJD, Era

MIN_EARLY_ROWS, MIN_LATE_ROWS = 4_000, 6_000
"""With fewer rows, a hold-out of a fifth of the training rows is too small a drift reference."""

_MIN_LEGACY_SHARE, _MAX_LEGACY_SHARE = 0.2, 0.8


@dataclass(frozen=True)
class DemoData:
    """Disjoint sets of observations; models train on the labelled ones, the rest is classified.

    Attributes:
        early_labelled: Early rows of the first training.
        before: Early rows to classify.
        during: Late rows to classify before a model has trained on any late rows.
        late_labelled: Late rows of the second training.
        after: Late rows to classify after the second training.
        is_synthetic: Whether all rows are simulated.
    """

    early_labelled: pd.DataFrame
    before: pd.DataFrame
    during: pd.DataFrame
    late_labelled: pd.DataFrame
    after: pd.DataFrame
    is_synthetic: bool


def load_demo_data(source_uri: str, mode: Mode, store: ObjectStore) -> DemoData:
    """Read a source and split its rows.

    Early rows are those of the Legacy survey, or the older half where Legacy makes up less than
    20 % or more than 80 % of the rows.

    Args:
        source_uri: URI of the source.
        mode: Mode of the demo; rows without a label or one of its inputs are left out.
        store: Object store for s3:// sources.

    Raises:
        CatalogError: The source cannot be read, or has too few usable rows.
    """
    batches = open_source(source_uri, store).read_batches(after=0)
    rows = pd.concat([validate_rows(batch.rows).valid.to_pandas() for batch in batches])
    rows = rows.dropna(subset=[*INPUTS[mode], "class"])
    boundary = FIRST_MJD[Era.BOSS]
    if not _MIN_LEGACY_SHARE < (rows["mjd"] < boundary).mean() < _MAX_LEGACY_SHARE:
        boundary = int(rows["mjd"].median())
    is_early = rows["mjd"] < boundary
    early = rows[is_early].sample(frac=1, random_state=0)
    late = rows[~is_early].sample(frac=1, random_state=0)
    if len(early) < MIN_EARLY_ROWS or len(late) < MIN_LATE_ROWS:
        raise CatalogError(
            f"{source_uri}: found {len(early):,} early and {len(late):,} late objects with a label "
            f"and all {mode} inputs: at least {MIN_EARLY_ROWS:,} and {MIN_LATE_ROWS:,} are needed"
        )
    quarter = len(late) // 4
    return DemoData(
        early_labelled=early[len(early) // 4 :],
        before=early[: len(early) // 4],
        during=late[:quarter],
        late_labelled=late[quarter : quarter + len(late) // 2],
        after=late[quarter + len(late) // 2 :],
        is_synthetic=bool(rows["release"].map(is_synthetic).all()),
    )
