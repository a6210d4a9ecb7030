"""Units, UCDs and descriptions of the columns that skyclass writes."""

from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from skyclass.survey.features import MAGNITUDES
from skyclass.survey.observation import CLASSES, KEY

if TYPE_CHECKING:
    import pandas as pd  # the predictor starts without it

MODEL_RELEASE = "model_release"
"""Fact about a catalogue: the release of the model, or several if it was changed meanwhile."""


class Fact(NamedTuple):
    """What a catalogue says about a column.

    Attributes:
        description: One sentence without a full stop.
        ucd: Unified Content Descriptor (UCD1+, IVOA).
        unit: Unit in the syntax of VOUnit; empty for none.
        kind: Arrow type; None for that of the values.
    """

    description: str
    ucd: str
    unit: str = ""
    kind: pa.DataType | None = None


_BANDS = dict(zip(MAGNITUDES, ("U", "B", "R", "I", "I"), strict=True))
"""UCD of the optical band that holds most of each SDSS band."""

_PLATE, _MJD, _FIBER = KEY

FACTS = {
    "predicted": Fact("Class with the highest probability", "src.class;meta.modelled"),
    **{
        f"p_{name}": Fact(f"Probability of class {name}", "stat.probability;src.class")
        for name in CLASSES
    },
    "model_version": Fact("Release of the model, SHA-256 of its manifest", "meta.version"),
    "flags": Fact("Inputs outside the range of the survey", "meta.note"),
    "out_of_domain": Fact(
        "Whether the inputs are unlike those that the model was trained on",
        "meta.code.qual",
        kind=pa.bool_(),
    ),
    "groups": Fact("Groups of optional inputs that the model used", "meta.note"),
    "labels": Fact("Classes that hold the true one with the coverage", "src.class"),
    "certain": Fact("Whether the prediction has the purity", "meta.code.qual", kind=pa.bool_()),
    "mode": Fact("Inputs of the model, with or without the redshift", "meta.code"),
    "source_id": Fact("Identifier of the object", "meta.id;meta.main"),
    _PLATE: Fact("Spectroscopic plate", "meta.id;instr"),
    _MJD: Fact("Night of the spectrum, Modified Julian Date", "time.epoch;obs", "d"),
    _FIBER: Fact("Fibre on the plate", "meta.id;instr"),
    "alpha": Fact("Right ascension (ICRS)", "pos.eq.ra;meta.main", "deg"),
    "delta": Fact("Declination (ICRS)", "pos.eq.dec;meta.main", "deg"),
    **{
        band: Fact(f"Model magnitude in {band}", f"phot.mag;em.opt.{ucd}", "mag")
        for band, ucd in _BANDS.items()
    },
    "redshift": Fact("Redshift", "src.redshift"),
    "extinction_r": Fact("Galactic extinction in r", "phys.absorption.gal;em.opt.R", "mag"),
    **{
        f"psf_{band}": Fact(f"PSF magnitude in {band}", f"phot.mag;em.opt.{ucd}", "mag")
        for band, ucd in _BANDS.items()
    },
    **{
        f"err_{band}": Fact(
            f"Error of the model magnitude in {band}", f"stat.error;phot.mag;em.opt.{ucd}", "mag"
        )
        for band, ucd in _BANDS.items()
    },
    "type": Fact("Photometric type: 3 for extended, 6 for point-like", "src.class.starGalaxy"),
    "w1": Fact("WISE W1 magnitude (Vega)", "phot.mag;em.IR.3-4um", "mag"),
    "w2": Fact("WISE W2 magnitude (Vega)", "phot.mag;em.IR.4-8um", "mag"),
    "class": Fact("Class by the survey's spectroscopic pipeline", "src.class"),
    "scored_at": Fact("Time of the prediction", "time.processing"),
}
"""Facts by the name of the column."""


def describe_field(name: str, kind: pa.DataType, label: str | None = None) -> pa.Field:
    """Return the field of a column, with its facts as metadata.

    Args:
        name: Our name of the column; one without facts has no metadata.
        kind: Type of its values.
        label: Name of the field; None for `name`.
    """
    fact = FACTS.get(name)
    if fact is None:
        return pa.field(label or name, kind)
    metadata = {"description": fact.description, "ucd": fact.ucd}
    if fact.unit:
        metadata["unit"] = fact.unit
    return pa.field(label or name, fact.kind or kind, metadata=metadata)


def describe_predictions(predictions: "pd.DataFrame", prefix: str = "") -> pa.Table:
    """Return predictions with the facts of their columns as metadata of the fields.

    Args:
        predictions: Columns of `Client.classify`, and perhaps others.
        prefix: Prefix of the names of the columns.

    Returns:
        A table whose schema has the releases of the model as its metadata `MODEL_RELEASE`.
    """
    rows = pa.Table.from_pandas(predictions, preserve_index=False)
    releases = sorted(set(predictions["model_version"]))
    schema = pa.schema(
        [describe_field(field.name, field.type, prefix + field.name) for field in rows.schema],
        {MODEL_RELEASE: " ".join(releases)},
    )
    columns = [column.cast(field.type) for column, field in zip(rows.columns, schema, strict=True)]
    return pa.Table.from_arrays(columns, schema=schema)
