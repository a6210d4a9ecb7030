"""The training set: which observations are trained on, and which are held out."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from skyclass.errors import TrainingError
from skyclass.registry.manifest import TrainingSet
from skyclass.sources.simulated import is_synthetic
from skyclass.survey.features import INPUTS, Mode, make_features
from skyclass.survey.observation import CLASSES, KEY, MEASUREMENTS, ROW_COLUMNS
from skyclass.tables.observations import ObservationsTable

HOLDOUT_SHARE = 5
"""Every fifth observation is held out at random, and the newest fifth is the temporal hold-out."""

MIN_ROWS_PER_CLASS = 50
"""Fewer than this, and five-fold cross-validation on a class says nothing."""

_ROWS = "rows.parquet"
_SUMMARY = "training_set.json"


@dataclass(frozen=True)
class Dataset:
    """Labelled rows in the order of time, with what they came from.

    Attributes:
        rows: Columns `KEY`, `MEASUREMENTS`, `class` and `release`.
        summary: The training set's lineage.
        mode: Decides which measurements must be there and which features are made.
    """

    rows: pd.DataFrame
    summary: TrainingSet
    mode: Mode

    @property
    def features(self) -> npt.NDArray[np.float32]:
        """Model features, shape (n, len(FEATURES[mode]))."""
        return make_features(self.inputs, self.mode)

    @property
    def inputs(self) -> npt.NDArray[np.float64]:
        """What a caller of the endpoint would give, shape (n, len(INPUTS[mode]))."""
        return self.rows[list(INPUTS[self.mode])].to_numpy(np.float64)

    @property
    def labels(self) -> npt.NDArray[np.object_]:
        """Class names, shape (n,). Of type object: KServe's stock server chokes on others."""
        return self.rows["class"].to_numpy(object)

    @property
    def random_holdout(self) -> npt.NDArray[np.bool_]:
        """Which rows are held out at random, shape (n,).

        It follows from the key alone, so a row never moves between training and hold-out as the
        table grows, and a champion has never been trained on the rows it is judged by.
        """
        keys = self.rows[list(KEY)].astype("int64")
        digest = pd.util.hash_pandas_object(keys, index=False).to_numpy()
        return digest % HOLDOUT_SHARE == 0

    @property
    def temporal_holdout(self) -> npt.NDArray[np.bool_]:
        """Which rows are of the newest nights, shape (n,); nights are kept whole."""
        nights = self.rows["mjd"].to_numpy()
        first_held_out = nights[int(len(nights) * (1 - 1 / HOLDOUT_SHARE))]
        return nights >= first_held_out

    def save(self, folder: Path) -> None:
        """Write the dataset into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self.rows.to_parquet(folder / _ROWS, index=False)
        (folder / _SUMMARY).write_bytes(self.summary.to_bytes())

    @classmethod
    def load(cls, folder: Path, mode: Mode) -> "Dataset":
        """Read a dataset from a folder."""
        summary = TrainingSet.model_validate_json((folder / _SUMMARY).read_bytes())
        return cls(pd.read_parquet(folder / _ROWS), summary, mode)


def select(table: ObservationsTable, version: int, mode: Mode, newest_rows: int) -> Dataset:
    """Read the rows to train on from the observations table.

    Args:
        table: The observations table.
        version: Its version.
        mode: The mode to train.
        newest_rows: How many rows to take at most.

    Raises:
        TrainingError: There are too few rows, or too few of a class.
    """
    return choose(table.read(version, list(ROW_COLUMNS)), table.uri, version, mode, newest_rows)


def choose(
    candidates: pd.DataFrame, table: str, version: int, mode: Mode, newest_rows: int
) -> Dataset:
    """Choose the rows to train on among those of the observations table.

    A row takes part when it has a label and every input of the mode. The newest rows are taken:
    the survey moves on, and what is served next resembles what was observed last.

    Args:
        candidates: Columns `ROW_COLUMNS`, in the order of time.
        table: URI of the observations table.
        version: Its version.
        mode: The mode to train.
        newest_rows: How many rows to take at most.

    Raises:
        TrainingError: There are too few rows, or too few of a class.
    """
    rows = candidates[[*KEY, *MEASUREMENTS, "class", "release"]]
    rows = rows.dropna(subset=[*INPUTS[mode], "class"])
    rows = rows.tail(newest_rows).reset_index(drop=True)
    counts = rows["class"].value_counts().reindex(CLASSES, fill_value=0)
    scarce = counts.idxmin()
    if counts.min() < MIN_ROWS_PER_CLASS:
        raise TrainingError(
            f"only {counts.min()} labelled rows of class {scarce} with all {mode} inputs among "
            f"the newest {newest_rows} (at least {MIN_ROWS_PER_CLASS} are needed): ingest more"
        )
    summary = TrainingSet(
        table=table,
        version=version,
        rows=len(rows),
        first_mjd=int(rows["mjd"].min()),
        watermark=int(rows["mjd"].max()),
        synthetic_rows=int(rows["release"].map(is_synthetic).sum()),
    )
    return Dataset(rows, summary, mode)
