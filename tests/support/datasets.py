"""Training sets without an object store."""

from skyclass.registry.manifest import TrainingSet
from skyclass.sources.simulated import RELEASE, draw
from skyclass.survey.features import MAGNITUDES, InputGroup, Mode
from skyclass.survey.observation import Era
from skyclass.training.dataset import Dataset


def make_simulated_dataset(
    mode: Mode, rows: int, era: Era = Era.LEGACY, groups: tuple[InputGroup, ...] = ()
) -> Dataset:
    """Return a dataset of simulated observations of one era, as `select` returns it.

    Args:
        mode: Mode of the models.
        rows: Observations to draw; those with a missing magnitude are dropped.
        era: Era of all observations.
        groups: Groups of optional inputs that the observations have.
    """
    frame = draw(era, first=0, size=rows, seed=0, groups=groups).to_pandas().assign(release=RELEASE)
    frame = frame[(frame[list(MAGNITUDES)] > 0).all(axis=1)].sort_values(["mjd", "plate"])
    summary = TrainingSet(
        table="s3://nowhere/observations",
        version=1,
        rows=len(frame),
        first_mjd=int(frame["mjd"].min()),
        watermark=int(frame["mjd"].max()),
        synthetic_rows=len(frame),
    )
    return Dataset(frame.reset_index(drop=True), summary, mode)
