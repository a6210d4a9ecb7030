"""The dialect of a table is detected from its header, by name and never by position."""

import pytest

from skyclass.errors import CatalogError
from skyclass.survey.dialects import DIALECTS, UNKNOWN, detect_dialect

HEADERS = {
    "Kaggle SDSS17": "obj_ID alpha delta u g r i z run_ID rerun_ID cam_col field_ID spec_obj_ID "
    "class redshift plate MJD fiber_ID",
    "Kaggle DR14": "ra dec u g r i z run rerun camcol field specobjid class redshift plate mjd "
    "fiberid objid",
    "SkyServer CSV": "objID ra dec u g r i z run rerun camcol field specObjID class redshift "
    "plate mjd fiberID",
    "skyclass": "plate mjd fiber_id alpha delta u g r i z redshift class",
    "skyclass table": "plate mjd fiber_id alpha delta u g r i z redshift class release",
}


@pytest.mark.parametrize("name", HEADERS)
def test_header_is_detected_in_any_order(name: str) -> None:
    header = HEADERS[name].split()
    assert detect_dialect(header, "a.csv").name == name
    assert detect_dialect(header[::-1], "a.csv").name == name


@pytest.mark.parametrize("name", ["Kaggle SDSS17", "Kaggle DR14", "SkyServer CSV"])
def test_a_header_of_no_single_dialect_has_no_known_release(name: str) -> None:
    header = HEADERS[name].replace("plate", "PLATE").split()
    assert detect_dialect(header, "a.csv") is UNKNOWN
    header = HEADERS[name].replace(" u g r i z ", " umag gmag rmag imag zmag ").split()
    assert detect_dialect(header, "a.csv") is UNKNOWN


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("name value", "found columns name, value"),
        ("error_message", "found columns error_message"),
        ("", "found columns none"),
    ],
)
def test_other_table_is_rejected_with_the_known_dialects(header: str, found: str) -> None:
    with pytest.raises(CatalogError, match="no known dialect") as error:
        detect_dialect(header.split(), "a.csv")
    assert found in str(error.value)
    assert all(dialect.name in str(error.value) for dialect in DIALECTS)
