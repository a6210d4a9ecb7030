"""The dialect of a table is told from its header, by name and never by position."""

import pytest

from skyclass.errors import CatalogError
from skyclass.survey.dialects import DIALECTS, recognise

HEADERS = {
    "Kaggle SDSS17": "obj_ID alpha delta u g r i z run_ID rerun_ID cam_col field_ID spec_obj_ID "
    "class redshift plate MJD fiber_ID",
    "Kaggle DR14": "ra dec u g r i z run rerun camcol field specobjid class redshift plate mjd "
    "fiberid objid",
    "SkyServer CSV": "objID ra dec u g r i z run rerun camcol field specObjID class redshift "
    "plate mjd fiberID",
    "skyclass": "plate mjd fiber_id alpha delta u g r i z redshift class",
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_public_header_is_recognised_in_any_order(name: str) -> None:
    header = HEADERS[name].split()
    assert recognise(header, "a.csv").name == name
    assert recognise(header[::-1], "a.csv").name == name


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("Kaggle SDSS17", "MJD"),
        ("Kaggle DR14", "ra"),
        ("SkyServer CSV", "redshift"),
        ("skyclass", "class"),
    ],
)
def test_a_missing_column_is_named_with_the_nearest_dialect(name: str, column: str) -> None:
    header = [each for each in HEADERS[name].split() if each != column]
    with pytest.raises(CatalogError) as error:
        recognise(header, "a.csv")
    assert f"a.csv: column {column} is missing (nearest dialect: {name})" in str(error.value)


def test_a_spectroscopic_table_whose_z_is_the_redshift_is_not_taken_for_photometry() -> None:
    header = HEADERS["SkyServer CSV"].replace("u g r i z", "z").split()
    with pytest.raises(CatalogError, match="column u, g, r, i is missing"):
        recognise(header, "a.csv")


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("name value", "found columns name, value"),
        ("error_message", "found columns error_message"),
        ("", "found columns none"),
    ],
)
def test_a_foreign_table_is_refused_with_the_known_dialects(header: str, found: str) -> None:
    with pytest.raises(CatalogError, match="no known dialect") as error:
        recognise(header.split(), "a.csv")
    assert found in str(error.value)
    assert all(dialect.name in str(error.value) for dialect in DIALECTS)


def test_a_column_that_stands_twice_is_refused() -> None:
    with pytest.raises(CatalogError, match=r"^a\.csv: column u stands twice"):
        recognise(["u", *HEADERS["skyclass"].split()], "a.csv")
