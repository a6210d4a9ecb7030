"""From a FITS file to a catalogue, by the commands of docs/astronomers.md and the notebook."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np
import pytest
from astropy.table import Table
from nbclient import NotebookClient

from skyclass.local.s3_server import Access
from skyclass.sources.simulated import SimulatedSource
from skyclass.survey.features import MAGNITUDES, Mode
from skyclass.survey.observation import CLASSES
from tests.support.predictor import Site, serving

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/astronomers.md"
NOTEBOOK = ROOT / "examples/catalogue.ipynb"
QUICK = ("--param", "candidates=hist_gradient_boosting", "--param", "search_seconds=0")
ROWS = 300


def list_commands(page: str) -> list[list[str]]:
    """Return the commands of `skyclass` that a page shows, in its order."""
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line.removesuffix("&")) for line in lines if line.startswith("skyclass ")]


@dataclass(frozen=True)
class Desk:
    """A folder with a FITS file, after the training run of the page, beside a predictor."""

    site: Site
    folder: Path
    url: str

    def run(self, name: str) -> list[str]:
        """Run each command of the page with a name, and return their standard outputs."""
        found = [command for command in list_commands(PAGE.read_text()) if command[1] == name]
        assert found, f"the page has no `skyclass {name}`"
        return [run(self.site, self.folder, *command[1:], *self._add(name)) for command in found]

    def _add(self, name: str) -> tuple[str, ...]:
        return ("--url", self.url) if name == "predict" else ()


def run(site: Site, folder: Path, *arguments: str) -> str:
    """Run a command, which must succeed, and return its standard output."""
    command = [sys.executable, "-m", "skyclass", *arguments]
    done = subprocess.run(command, cwd=folder, env=site.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_objects(file: Path) -> Table:
    """Write a FITS file with two tables; the columns of the second have names of their own."""
    uri = f"simulated:?rows={ROWS}&era=legacy&seed=5&groups=psf,errors,wise"
    rows = next(SimulatedSource.from_uri(uri).read_batches(after=0)).rows.to_pandas()
    objects = Table(
        {"objid": np.arange(2**60, 2**60 + ROWS), "note": [f"n{n}" for n in range(ROWS)]}
    )
    for name in ("alpha", "delta", *MAGNITUDES, "psf_r", "w1", "w2"):
        objects[name] = rows[name].to_numpy()
        objects[name].unit = "deg" if name in ("alpha", "delta") else "mag"
    objects.write(file)
    other = objects.copy()
    other.rename_column("z", "psfMag_z")
    other["z"] = rows["redshift"].to_numpy()
    other.write(file, append=True)
    return objects


@pytest.fixture(scope="module")
def desk(s3: Access, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("astronomer")
    site = Site.make(s3, folder / "home")
    write_objects(folder / "objects.fits")
    (training,) = (
        command
        for command in list_commands(PAGE.read_text())
        if command[1] == "run" and "simulated:" in command[-1]
    )
    run(site, folder, *training[1:], *QUICK)
    with serving(site, Mode.PHOTOMETRIC, None, folder / "predictor.log") as predictor:
        yield Desk(site, folder, predictor.url)


def test_predictions_stand_beside_all_columns_of_the_file(desk: Desk) -> None:
    desk.run("predict")
    before, after = (Table.read(desk.folder / name) for name in ("objects.fits", "classified.fits"))
    for name in before.colnames:
        assert (after[name] == before[name]).all()
        assert after[name].unit == before[name].unit
    assert set(after["predicted"].astype(str)) <= {*CLASSES, "uncertain"}
    assert set(" ".join(after["labels"].astype(str)).split()) <= set(CLASSES)
    assert len(Table.read(desk.folder / "classified.vot")) == ROWS


def test_an_object_is_explained(desk: Desk) -> None:
    (text,) = desk.run("explain")
    assert "u-g" in text


def test_scored_objects_are_exported(desk: Desk) -> None:
    desk.run("score")
    desk.run("export")
    catalogue = Table.read(desk.folder / "catalogue.vot")
    assert len(catalogue) == ROWS


def test_notebook_runs(desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SKYCLASS_URL", desk.url)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "clear the outputs"
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    assert (tmp_path / "classes.png").stat().st_size > 10_000
    assert len(Table.read(tmp_path / "classified.vot")) > 1000
