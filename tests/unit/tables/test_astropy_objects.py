"""Objects in tables of astropy."""

import numpy as np
import pytest
from astropy.table import Table

from skyclass.errors import CatalogError
from skyclass.survey.features import MAGNITUDES
from skyclass.tables.astropy_objects import read_astropy_objects


@pytest.fixture
def table() -> Table:
    return Table({band: [19.5, 20.5] for band in MAGNITUDES})


def test_columns_of_types_that_arrow_lacks_do_not_matter(table: Table) -> None:
    table["u"] = table["u"].astype(np.longdouble)
    table["phase"] = np.zeros(2, np.clongdouble)
    table["fit"] = np.zeros(2, [("slope", "f8"), ("count", "i4")])
    inputs = read_astropy_objects(table, MAGNITUDES).inputs
    assert inputs["u"].tolist() == [19.5, 20.5]


def test_a_misspelt_input_is_an_error(table: Table) -> None:
    with pytest.raises(CatalogError, match="there is no input 'redshfit': correct the name"):
        read_astropy_objects(table, MAGNITUDES, names={"redshfit": "z"})
