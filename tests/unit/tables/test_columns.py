"""Columns of users' tables: read where their meaning is certain, else named by the user."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skyclass.errors import CatalogError
from skyclass.survey.features import MAGNITUDES, OPTIONAL_INPUTS, Mode
from skyclass.tables.files import TableFile, find_columns, is_dereddened, open_table
from skyclass.tables.objects import read_objects


class Column(NamedTuple):
    """Values and metadata of a column."""

    values: list[Any]
    unit: str = ""
    ucd: str = ""


MAGNITUDE = Column([19.5, 20.5])
REDSHIFT = Column([0.5, 2.5])
UNKNOWN = Column([None, None])
ERROR = Column([0.1, 0.1])
UGRI = dict.fromkeys("ugri", MAGNITUDE)


def make_file(folder: Path, columns: Mapping[str, Column]) -> TableFile:
    arrays = [pa.array(each.values) for each in columns.values()]
    fields = [
        pa.field(name, array.type, metadata={"unit": each.unit, "ucd": each.ucd})
        for (name, each), array in zip(columns.items(), arrays, strict=True)
    ]
    pq.write_table(pa.table(arrays, pa.schema(fields)), folder / "a.parquet")
    return open_table(str(folder / "a.parquet"), "a.parquet")


def make_family(pattern: str, column: Column = MAGNITUDE) -> dict[str, Column]:
    return {pattern.format(band): column for band in MAGNITUDES}


def find(file: TableFile, **names: str) -> dict[str, str]:
    """Return the file's name of each column that photometric models use, and of the redshift."""
    optional = (*OPTIONAL_INPUTS[Mode.PHOTOMETRIC], "redshift")
    found = find_columns(file, MAGNITUDES, optional, names)
    return {ours: file.header[position] for ours, position in found.items()}


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param({"z": MAGNITUDE}, id="values"),
        pytest.param({"z": Column([-9999.0, 20.5])}, id="values beside the sentinel"),
        pytest.param({"z": MAGNITUDE, "zErr": ERROR}, id="values beside a companion"),
        pytest.param({"z": MAGNITUDE, "redshift": REDSHIFT}, id="beside the redshift"),
        pytest.param({"z": UNKNOWN, "redshift": REDSHIFT, "zErr": ERROR}, id="by the redshift"),
        pytest.param({"z": UNKNOWN}, id="no evidence"),
        pytest.param({"z": UNKNOWN, "z_err": ERROR, "r_err": ERROR}, id="companion of r, too"),
        pytest.param({"z": UNKNOWN, "zErr": ERROR, "specz": REDSHIFT}, id="spectroscopic redshift"),
        pytest.param({"z": Column([0.5, 2.5], "mag"), "zErr": ERROR}, id="unit"),
        pytest.param({"z": Column([0.5, 2.5], ucd="phot.mag;em.opt.I")}, id="UCD"),
        pytest.param({"z": UNKNOWN, **make_family("psfMag_{}")}, id="PSF magnitudes of all bands"),
    ],
)
def test_z_is_the_magnitude(columns: dict[str, Column], tmp_path: Path) -> None:
    assert find(make_file(tmp_path, UGRI | columns))["z"] == "z"


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        pytest.param({"z": REDSHIFT}, "the column z has redshifts", id="values"),
        pytest.param({"z": REDSHIFT, "redshift": REDSHIFT}, "has redshifts", id="twice"),
        pytest.param({"z": Column([19.5, 20.5], ucd="src.redshift")}, "has redshifts", id="UCD"),
        pytest.param({"z": UNKNOWN, "zErr": ERROR}, "there is zErr", id="zErr"),
        pytest.param({"z": UNKNOWN, "zWarning": ERROR}, "there is zWarning", id="zWarning"),
        pytest.param({"z": UNKNOWN, "psfMag_z": MAGNITUDE}, "there is psfMag_z", id="psfMag_z"),
        pytest.param({"z": UNKNOWN, "z_mag": MAGNITUDE}, "there is z_mag", id="z_mag"),
    ],
)
def test_a_z_that_may_be_the_redshift_has_to_be_named(
    columns: dict[str, Column], reason: str, tmp_path: Path
) -> None:
    file = make_file(tmp_path, UGRI | columns)
    expected = rf"a\.parquet: .*{reason}.*: name the column of the z magnitude.*`\?redshift=z`"
    with pytest.raises(CatalogError, match=expected):
        find(file)


def test_given_names_win(tmp_path: Path) -> None:
    file = make_file(tmp_path, UGRI | {"z": REDSHIFT, "psfMag_z": MAGNITUDE, "W": MAGNITUDE})
    found = find(file, z="psfMag_z", redshift="z", w1="W")
    assert (found["z"], found["redshift"], found["w1"]) == ("psfMag_z", "z", "W")
    assert find(file, z="z")["z"] == "z"
    with pytest.raises(
        CatalogError, match=r"there is no column 'zmag' for z .*: correct the option"
    ):
        find(file, z="zmag")


@pytest.mark.parametrize("pattern", ["modelMag_{}", "dered_{}", "{}mag", "MODELMAG_{}"])
def test_magnitudes_of_one_kind_are_found_and_z_beside_its_error_is_the_redshift(
    pattern: str, tmp_path: Path
) -> None:
    family = make_family(pattern)
    found = find(make_file(tmp_path, family | {"z": REDSHIFT, "zErr": ERROR}))
    assert [found[band] for band in MAGNITUDES] == list(family)
    assert found["redshift"] == "z"
    assert "redshift" not in find(make_file(tmp_path, family | {"z": REDSHIFT}))


def test_names_of_one_kind_are_not_mixed_with_others(tmp_path: Path) -> None:
    file = make_file(tmp_path, UGRI | {"zmag": MAGNITUDE})
    with pytest.raises(CatalogError, match=r"missing column z .*, for example `\?z=psfMag_z`"):
        find(file)


@pytest.mark.parametrize(
    ("unit", "ucd", "reason"),
    [
        ("nanomaggy", "", "unit 'nanomaggy'"),
        ("Jy", "", "unit 'Jy'"),
        ("mmag", "", "unit 'mmag'"),
        ("mag / arcsec2", "", "unit 'mag / arcsec2'"),
        ("", "phot.flux", "UCD"),
    ],
)
def test_magnitudes_in_another_unit_are_rejected(
    unit: str, ucd: str, reason: str, tmp_path: Path
) -> None:
    file = make_file(tmp_path, make_family("{}") | {"r": Column([19.5, 20.5], unit, ucd)})
    with pytest.raises(CatalogError, match=rf"column r has {reason}.*, expected magnitudes: name"):
        find(file)


def test_a_table_of_fluxes_has_to_be_converted(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"missing column u .*; MODELFLUX_u is a flux, convert"):
        find(make_file(tmp_path, make_family("MODELFLUX_{}")))


@pytest.mark.parametrize("unit", ["mag", "mags", "mag(AB)", "ABmag", "null", ""])
def test_units_of_magnitudes_are_accepted(unit: str, tmp_path: Path) -> None:
    find(make_file(tmp_path, make_family("{}") | {"r": Column([19.5, 20.5], unit)}))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("psf_u", "psfMag_u"),
        ("err_u", "modelMagErr_u"),
        ("err_u", "Err_u"),
        ("w1", "w1mpro"),
        ("w2", "W2mag"),
        ("alpha", "RAJ2000"),
        ("delta", "DEC"),
        ("type", "OBJC_TYPE"),
    ],
)
def test_optional_inputs_have_the_names_of_public_tables(
    ours: str, theirs: str, tmp_path: Path
) -> None:
    values = Column([3.0, 6.0]) if ours == "type" else MAGNITUDE
    assert find(make_file(tmp_path, make_family("{}") | {theirs: values}))[ours] == theirs


@pytest.mark.parametrize(
    ("name", "column"),
    [
        pytest.param("type", Column(["PSF", "REX"]), id="morphology"),
        pytest.param("alpha", Column([-0.7, -0.5]), id="spectral index"),
        pytest.param("w1", Column([250.0, 300.0], "nanomaggy"), id="flux"),
        pytest.param("delta", Column(["a", None]), id="text"),
        pytest.param("err_r", Column([0.1, 0.2], "nanomaggy"), id="error of a flux"),
    ],
)
def test_a_column_that_only_has_the_name_of_an_optional_input_is_not_used(
    name: str, column: Column, tmp_path: Path
) -> None:
    file = make_file(tmp_path, make_family("{}") | {name: column})
    assert name not in find(file)
    assert name in find(file, **{name: name})
    assert name in find_columns(file, [*MAGNITUDES, name])


def test_a_position_in_another_unit_than_degrees_is_rejected_where_it_is_needed(
    tmp_path: Path,
) -> None:
    file = make_file(tmp_path, make_family("{}") | {"ra": Column([10.5, 23.9], "hourangle")})
    assert "alpha" not in find(file)
    with pytest.raises(CatalogError, match="column ra has unit 'hourangle', expected degrees"):
        find(file, alpha="ra")
    file = make_file(tmp_path, make_family("{}") | {"ra": Column([10.5, 23.9], "deg")})
    assert find(file)["alpha"] == "ra"


def test_dereddened_magnitudes_have_no_extinction(tmp_path: Path) -> None:
    family = make_family("dered_{}") | make_family("psfMag_{}") | {"extinction_r": ERROR}
    file = make_file(tmp_path, family)
    assert list(find(file)) == list(MAGNITUDES)
    assert is_dereddened(file, find_columns(file, MAGNITUDES))
    optional = OPTIONAL_INPUTS[Mode.PHOTOMETRIC]
    inputs = read_objects(tmp_path / "a.parquet", MAGNITUDES, optional).inputs
    assert inputs["extinction_r"].tolist() == [0.0, 0.0]


def test_psf_magnitudes_are_used_if_they_are_dereddened_as_the_others(tmp_path: Path) -> None:
    family = make_family("dered_{}") | make_family("dered_psf_{}")
    assert find(make_file(tmp_path, family))["psf_u"] == "dered_psf_u"
    family = make_family("modelMag_{}") | make_family("dered_psf_{}")
    assert "psf_u" not in find(make_file(tmp_path, family))
