"""The limits of the expectations: those in `expectations.toml`, changed by a file of the user."""

import hashlib
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from skyclass.errors import ValidationError

HOW_TO_CHANGE = "SKYCLASS_EXPECTATIONS_FILE, or `expectations` of the chart"
"""Where users change limits, for messages."""

_Section = dict[str, Any]


@dataclass(frozen=True)
class Expectations:
    """Limits, as shares of the rows unless stated; `expectations.toml` describes each.

    Attributes:
        rejected: Rows of a source that ingest rejects.
        invalid: Rows of the table that break a rule of ingest.
        copied: Rows with the measurements of another key.
        unlabelled: Rows without a class.
        not_measured: Missing values of each input.
        classes: Smallest and largest share of each class among the labelled rows.
        redshifts: Smallest and largest plausible redshift of each class.
        redshift_outside: Rows of a class with another redshift.
        older_eras: Increase of the share of older eras.
        lost_inputs: Decrease of the share of rows that have an optional input, relative to what
            it was.
    """

    rejected: float
    invalid: float
    copied: float
    unlabelled: float
    not_measured: dict[str, float]
    classes: dict[str, tuple[float, float]]
    redshifts: dict[str, tuple[float, float]]
    redshift_outside: float
    older_eras: float
    lost_inputs: float

    @property
    def identity(self) -> str:
        """An id that equal limits share, for cache keys."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:12]


def load_expectations(file: Path | None = None) -> Expectations:
    """Load the limits.

    Args:
        file: A TOML file with the limits to change, in the sections of `expectations.toml`.

    Raises:
        ValidationError: The file cannot be read, or a limit is unknown or malformed; the message
            names it.
    """
    default = resources.files("skyclass.ingest") / "expectations.toml"
    limits = tomllib.loads(default.read_text())
    if file:
        limits = _merge(limits, _read(file), str(file))
    redshifts = dict(limits["redshift"])
    outside = redshifts.pop("outside")
    return Expectations(
        rejected=limits["ingest"]["rejected"],
        **limits["rows"],
        not_measured=limits["not_measured"],
        classes={name: (low, high) for name, (low, high) in limits["classes"].items()},
        redshifts={name: (low, high) for name, (low, high) in redshifts.items()},
        redshift_outside=outside,
        older_eras=limits["eras"]["older"],
        lost_inputs=limits["optional_inputs"]["lost"],
    )


def _read(file: Path) -> _Section:
    try:
        return tomllib.loads(file.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValidationError(
            f"{file}: the limits cannot be read ({error}): correct SKYCLASS_EXPECTATIONS_FILE"
        ) from error


def _merge(limits: _Section, changes: _Section, where: str) -> _Section:
    """Return limits with some of them changed; a change has the form of the limit it replaces."""
    merged = dict(limits)
    for name, value in changes.items():
        if name not in limits:
            raise ValidationError(
                f"{where}: {name} is unknown: expected one of {', '.join(limits)}"
            )
        default = limits[name]
        if isinstance(default, dict):
            if not isinstance(value, dict):
                raise ValidationError(f"{where}: {name} is {value!r}: expected a table [{name}]")
            merged[name] = _merge(default, value, f"{where}, [{name}]")
        elif isinstance(default, list):
            if not _is_interval(value):
                raise ValidationError(
                    f"{where}: {name} is {value!r}: expected two numbers, the smaller first, "
                    f"like {default}"
                )
            merged[name] = value
        else:
            if not (_is_number(value) and 0 <= value <= 1):
                raise ValidationError(f"{where}: {name} is {value!r}: expected a share, 0 to 1")
            merged[name] = value
    return merged


def _is_interval(value: object) -> bool:
    if not (isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))):
        return False
    low, high = value
    return bool(low <= high)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
