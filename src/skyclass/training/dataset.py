"""The dataset of a training run: which rows it has, and which of them are held out."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from skyclass.errors import TrainingError
from skyclass.registry.manifest import TrainingSet
from skyclass.registry.releases import DUST_MAP
from skyclass.sources.simulated import is_synthetic
from skyclass.storage.formats import Format
from skyclass.survey.dust import DustMap, fill_extinction
from skyclass.survey.features import ALL_INPUTS, INPUTS, OPTIONAL_INPUTS, Mode, make_features
from skyclass.survey.observation import CLASSES, KEY, MEASUREMENTS
from skyclass.training.selection import Selection, draw_sample

HOLDOUT_MODULUS = 5
"""One row in five is in the random hold-out: those whose key has a hash divisible by 5. The
temporal hold-out is the newest fifth of the rows."""

MIN_ROWS_PER_CLASS = 50
"""Five-fold cross-validation of a class with fewer rows is too noisy to rank candidates."""

MIN_OLDER_ROWS_PER_CLASS = 10
"""With fewer rows of a class in the older nights, no temporal model is fitted: calibration and
early stopping split the rows of each class again."""

_ROWS = "rows.parquet"
_SUMMARY = "training_set.json"
_ROWS_FORMAT = Format("rows of a training set", "0.2.0")


@dataclass(frozen=True)
class Dataset:
    """Labelled rows in order of time, with their lineage.

    Attributes:
        rows: Columns `KEY`, `MEASUREMENTS`, `class` and `release`, and the optional inputs of the
            mode that the table has.
        summary: Lineage of the rows, as recorded in the manifest.
        mode: Selects the inputs and the features.
        dust_map: Map for rows with a position and without an extinction, if there is one.
    """

    rows: pd.DataFrame
    summary: TrainingSet
    mode: Mode
    dust_map: DustMap | None = None

    @property
    def features(self) -> npt.NDArray[np.float32]:
        """Features that every release has, shape (n, len(FEATURES[mode]))."""
        return make_features(self.inputs, self.mode)

    def compute_features(self, names: tuple[str, ...]) -> npt.NDArray[np.float32]:
        """Compute features, shape (n, len(names)); NaN where an input was not measured."""
        return make_features(self.filled_inputs, self.mode, names)

    @property
    def inputs(self) -> npt.NDArray[np.float64]:
        """Inputs of a prediction request, shape (n, len(ALL_INPUTS[mode])).

        NaN where an optional input was not measured, or the table does not have it.
        """
        names = ALL_INPUTS[self.mode]
        values = np.full((len(self.rows), len(names)), np.nan)
        for column, name in enumerate(names):
            if name in self.rows:
                values[:, column] = self.rows[name].to_numpy(np.float64)
        return values

    @cached_property
    def filled_inputs(self) -> npt.NDArray[np.float64]:
        """The inputs, with extinctions from the dust map where there were none."""
        return fill_extinction(self.inputs, self.mode, self.dust_map)

    @property
    def labels(self) -> npt.NDArray[np.object_]:
        """Class names, shape (n,). Dtype object: KServe's own sklearn server fails on others."""
        return self.rows["class"].to_numpy(object)

    @property
    def random_holdout(self) -> npt.NDArray[np.bool_]:
        """Mask of the random hold-out, shape (n,).

        Membership depends only on a row's key. It does not change as the table grows, so no
        champion was ever fitted on the rows that it is evaluated on.
        """
        keys = self.rows[list(KEY)].astype("int64")
        digest = pd.util.hash_pandas_object(keys, index=False).to_numpy()
        return digest % HOLDOUT_MODULUS == 0

    @property
    def temporal_holdout(self) -> npt.NDArray[np.bool_]:
        """Mask of the newest fifth of the rows, shape (n,), extended to whole nights."""
        nights = self.rows["mjd"].to_numpy()
        first_held_out = nights[int(len(nights) * (1 - 1 / HOLDOUT_MODULUS))]
        return nights >= first_held_out

    @property
    def has_temporal_model(self) -> bool:
        """Whether the nights before the temporal hold-out have enough rows of every class."""
        older = self.labels[~self.temporal_holdout]
        return all((older == name).sum() >= MIN_OLDER_ROWS_PER_CLASS for name in CLASSES)

    def save(self, folder: Path) -> None:
        """Write the dataset to a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        rows = pa.Table.from_pandas(self.rows, preserve_index=False)
        _ROWS_FORMAT.write_parquet(rows, folder / _ROWS)
        (folder / _SUMMARY).write_bytes(self.summary.to_bytes())
        if self.dust_map is not None:
            self.dust_map.save(folder / DUST_MAP)

    @classmethod
    def load(cls, folder: Path, mode: Mode) -> "Dataset":
        """Read a dataset from a folder."""
        summary = TrainingSet.from_bytes((folder / _SUMMARY).read_bytes(), _SUMMARY)
        _ROWS_FORMAT.check_parquet(pq.read_metadata(folder / _ROWS), _ROWS)
        file = folder / DUST_MAP
        dust_map = DustMap.load(file) if file.exists() else None
        return cls(pd.read_parquet(folder / _ROWS), summary, mode, dust_map)


def select_dataset(
    rows: pd.DataFrame,
    table: str,
    version: int,
    mode: Mode,
    selection: Selection,
    dust_map: DustMap | None = None,
) -> Dataset:
    """Select the newest rows that have a label and every input of the mode.

    The newest rows are taken because the next observations resemble them most.

    Args:
        rows: Rows of the selection, columns `ROW_COLUMNS`, in order of time; older tables lack
            optional inputs.
        table: URI of the observations table.
        version: Version of the table.
        mode: Mode to train.
        selection: Which rows to use.
        dust_map: Map for rows with a position and without an extinction.

    Raises:
        TrainingError: A class has fewer than `MIN_ROWS_PER_CLASS` rows.
    """
    optional = [name for name in OPTIONAL_INPUTS[mode] if name in rows]
    rows = rows[[*KEY, *MEASUREMENTS, *optional, "class", "release"]]
    complete = rows.dropna(subset=[*INPUTS[mode], "class"]).tail(selection.newest_rows)
    used = draw_sample(complete, selection.sample_rows).reset_index(drop=True)
    counts = used["class"].value_counts().reindex(CLASSES, fill_value=0)
    if counts.min() < MIN_ROWS_PER_CLASS:
        raise TrainingError(
            f"only {counts.min()} labelled rows of class {counts.idxmin()} with all {mode} inputs "
            f"among the newest {selection.newest_rows} (at least {MIN_ROWS_PER_CLASS} are needed): "
            "ingest more"
        )
    summary = TrainingSet(
        table=table,
        version=version,
        rows=len(used),
        first_mjd=int(used["mjd"].min()),
        watermark=int(used["mjd"].max()),
        synthetic_rows=int(used["release"].map(is_synthetic).sum()),
        sampled_from=selection.complete_rows if selection.is_sample else None,
    )
    return Dataset(used, summary, mode, dust_map)
