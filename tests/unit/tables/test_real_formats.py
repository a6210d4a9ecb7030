"""Files as astronomers have them: every value and unit is the one that astropy reads."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from astropy.table import Table

from skyclass.tables.files import open_table
from tests.support.files import read_all

ROWS = 200
FILES = {
    "atlas_wise_bintable.fits": "fits",
    "gaia_query.ecsv": "ascii.ecsv",
    "irsa_allwise_head1500.tbl": "ascii.ipac",
    "irsa_dust_sdss_ext.tbl": "ascii.ipac",
    "irsa_votable.xml": "votable",
    "legacysurvey_tractor.fits": "fits",
    "sdss_calibobj_5rows.fits": "fits",
    "ssa_sdss_votable.xml": "votable",
    "tap_result.ecsv": "ascii.ecsv",
    "tap_result.vot": "votable",
    "topcat_stil_table.fits": "fits",
    "vizier_table.fits": "fits",
    "vizier_votable.xml": "votable",
}


def to_plain(column: Any) -> list[Any]:
    """Return the values of an astropy column as Python values, text without its padding."""

    def convert(value: Any, is_masked: Any) -> Any:
        if isinstance(value, np.ndarray):
            masks = np.broadcast_to(is_masked, value.shape)
            return [convert(*each) for each in zip(value, masks, strict=True)]
        if is_masked is True or is_masked is np.True_:
            return None
        if isinstance(value, bytes):
            value = value.decode()
        return value.rstrip() if isinstance(value, str) else value

    return convert(np.ma.getdata(column), np.ma.getmaskarray(column))


@pytest.mark.parametrize(
    ("name", "hdu"), [*((name, None) for name in FILES), ("sdss_calibobj_5rows.fits", "2")]
)
def test_a_file_has_the_values_and_units_that_astropy_reads(
    name: str, hdu: str | None, real_data: Path
) -> None:
    path, kind = real_data / "formats" / name, FILES[name]
    options: dict[str, Any] = {"fits": {"hdu": int(hdu or 1), "mask_invalid": False}}.get(kind, {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "votable":
            options["use_names_over_ids"] = True
        expected = Table.read(path, format=kind, **options)[:ROWS]
    file = open_table(str(path), name, hdu=hdu)
    rows = read_all(file).slice(0, ROWS)
    assert list(file.header) == expected.colnames
    for position, column in enumerate(expected.columns.values()):
        np.testing.assert_equal(rows.column(position).to_pylist(), to_plain(column))
        metadata = file.schema.field(position).metadata or {}
        assert metadata.get(b"unit", b"").decode() == str(column.unit or "")


def test_vizier_and_topcat_write_ucds_and_descriptions_in_different_places(real_data: Path) -> None:
    folder = real_data / "formats"
    schema = open_table(str(folder / "vizier_table.fits"), "a.fits").schema
    assert schema.field("z").metadata[b"ucd"] == b"src.redshift"
    assert schema.field("z").metadata[b"description"] == b"Redshift (2)"
    schema = open_table(str(folder / "topcat_stil_table.fits"), "a.fits").schema
    assert schema.field("Separation").metadata[b"ucd"] == b"pos.angDistance"
    assert b"along a great circle" in schema.field("Separation").metadata[b"description"]
    assert schema.field("ra").metadata == {b"format": b"D"}
    schema = open_table(str(folder / "tap_result.ecsv"), "a.ecsv").schema
    assert schema.field("ra").metadata[b"ucd"] == b"pos.eq.ra;meta.main"
    assert schema.field("source_id").type == pa.int64()
