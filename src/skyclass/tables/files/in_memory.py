"""Tables in VOTable, ECSV and IPAC files, which astropy reads as a whole."""

import json
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any
from xml.parsers.expat import ExpatError

import numpy as np
import pyarrow as pa
import yaml
from astropy.table import Column, Table
from astropy.table.serialize import represent_mixins_as_columns
from astropy.utils.exceptions import AstropyWarning

from skyclass.errors import CatalogError, one_line
from skyclass.tables.files.arrays import make_array
from skyclass.tables.files.arrow import ArrowTable
from skyclass.tables.files.base import translate_errors
from skyclass.tables.files.votable import parse_votable

MAX_BYTES = 100 << 20
"""Largest size of a file, decompressed. Reading takes up to 20 times its size in memory."""

_KINDS = {"votable": "VOTable", "ascii.ecsv": "ECSV", "ascii.ipac": "IPAC"}
_PARSE_ERRORS = (
    ArithmeticError,
    AssertionError,
    AstropyWarning,  # that astropy raises for some malformed VOTables
    AttributeError,
    ExpatError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
    yaml.YAMLError,
)
"""Errors of astropy's parsers for malformed files, which have no common class."""


class InMemoryTable(ArrowTable):
    """A table that is read as a whole."""

    def __init__(
        self, name: str, open_file: Callable[[], Any], kind: str, choice: str | None = None
    ) -> None:
        """Prepare a file; nothing is read yet.

        Args:
            name: Name of the file in messages.
            open_file: Opens the decompressed bytes.
            kind: astropy's name of the format.
            choice: Number from 1, name or ID of the table of a VOTable; None for the first.
        """
        super().__init__(name, self._parse)
        self._open_file = open_file
        self._kind = kind
        self._choice = choice

    def _parse(self) -> pa.Table:
        kind = _KINDS[self._kind]
        with translate_errors(self.name, kind), self._open_file() as file:
            content = _read_limited(file, self.name)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if self._kind == "votable":
                    table = parse_votable(content, self.name, self._choice)
                else:
                    lines = re.split("\r?\n", content.decode())  # texts can hold other separators
                    table = Table.read(lines, format=self._kind, guess=False)
                return to_arrow(represent_mixins_as_columns(table))
        except _PARSE_ERRORS as error:
            raise CatalogError(
                f"{self.name}: not readable as {kind} ({one_line(error)}): check where it came from"
            ) from error


def _read_limited(file: Any, name: str) -> bytes:
    """Read a file up to `MAX_BYTES`, so that an archive cannot fill the memory."""
    parts, size = [], 0
    while data := file.read(1 << 20):
        parts.append(data)
        size += len(data)
        if size > MAX_BYTES:
            raise CatalogError(
                f"{name}: more than {MAX_BYTES >> 20} MiB of a format that is read in memory: "
                "convert the file to FITS or Parquet"
            )
    return b"".join(parts)


def to_arrow(table: Table) -> pa.Table:
    """Convert a table of plain columns, with their units, UCDs and descriptions as metadata."""
    arrays = [_convert(column) for column in table.columns.values()]
    fields = [
        pa.field(name, array.type, metadata=_describe(column))
        for (name, column), array in zip(table.columns.items(), arrays, strict=True)
    ]
    facts = {str(key): value for key, value in table.meta.items()}
    metadata = {key: str(facts.pop(key)) for key in ("name", "description") if facts.get(key)}
    for key, value in dict(facts.pop("keywords", None) or {}).items():  # IPAC
        facts[key] = value["value"]
    simple = {key: value for key, value in facts.items() if isinstance(value, str | int | float)}
    if simple:
        metadata["meta"] = json.dumps(simple)
    return pa.table(arrays, pa.schema(fields, metadata or None))


def _convert(column: Column) -> pa.Array:
    values = np.ma.getdata(column)
    missing = np.ma.getmaskarray(column) if np.ma.isMaskedArray(column) else None
    if (values.dtype.kind in "US" and values.ndim == 1) or values.dtype.kind == "O":
        present = np.ones(len(values), bool) if missing is None else ~missing
        return _convert_objects(values, present.any(axis=tuple(range(1, present.ndim))))
    if values.dtype.kind == "U":
        values = np.char.encode(values, "utf-8")
    if values.dtype.kind == "c":
        values = np.stack([values.real, values.imag], axis=-1)
        missing = None if missing is None else np.stack([missing, missing], axis=-1)
    return make_array(np.asarray(values), missing)


def _convert_objects(values: Any, present: Any) -> pa.Array:
    """Convert texts, and lists of variable length."""
    plain = [
        None if not known else value.tolist() if isinstance(value, np.ndarray) else value
        for value, known in zip(values.tolist(), present, strict=True)
    ]
    try:
        return pa.array(plain)
    except (pa.ArrowException, OverflowError):
        return pa.array([None if value is None else str(value) for value in plain], pa.string())


def _describe(column: Column) -> Mapping[bytes, bytes] | None:
    facts = {key: value for key, value in column.meta.items() if not key.startswith("_")}
    facts |= {"unit": column.unit, "description": column.description}
    return {
        key.encode(): str(value).encode()
        for key, value in facts.items()
        if value is not None and str(value)
    } or None
