"""Step 2: select the rows to train on, and refuse what cannot be trained on."""

from pathlib import Path

from skyclass.features import Mode
from skyclass.settings import Settings
from skyclass.store.documents import TrainingSet
from skyclass.store.observations import ObservationsTable
from skyclass.training.dataset import select


def validate_step(
    settings: Settings, version: int, mode: Mode, newest_rows: int, folder: Path
) -> TrainingSet:
    """Select the rows to train on, and keep them as a dataset.

    Args:
        settings: Where the table is.
        version: The table's version.
        mode: The mode to train.
        newest_rows: How many rows to take at most, the newest first.
        folder: Where the dataset is written.
    """
    dataset = select(ObservationsTable(settings), version, mode, newest_rows)
    dataset.save(folder)
    return dataset.summary
