"""The exploration report: statistics and distributions of a source's rows, by class and era."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from skyclass.errors import CatalogError
from skyclass.ingest.validation import validate_rows
from skyclass.sources import Source
from skyclass.sources.simulated import is_synthetic
from skyclass.survey.features import (
    GROUP_INPUTS,
    MAGNITUDES,
    InputGroup,
    Mode,
    make_features,
)
from skyclass.survey.observation import CLASSES, MEASUREMENTS, OPTIONAL_COLUMNS, Era, find_eras
from skyclass.training.reports.exploration_plots import COLOURS, plot_exploration
from skyclass.training.reports.pages import render_page
from skyclass.training.reports.plots import to_svg

MAX_ROWS = 100_000
"""Larger sources are sampled: the report shows shares and distributions."""

_QUANTILES = {"min": 0, "5 %": 0.05, "25 %": 0.25, "median": 0.5, "75 %": 0.75,
              "95 %": 0.95, "max": 1}  # fmt: skip
_GROUP_COLUMNS = ("r", *COLOURS, "redshift")


@dataclass(frozen=True)
class SourceSample:
    """Rows of a source, for the exploration report.

    Attributes:
        name: Name of the source.
        rows: Valid rows, columns `ROW_COLUMNS` and any of `OPTIONAL_COLUMNS`.
        rows_in: Number of rows of the source.
        rejected: Number of its invalid rows.
    """

    name: str
    rows: pd.DataFrame
    rows_in: int
    rejected: int


def read_sample(source: Source) -> SourceSample:
    """Read a source of any size and keep a uniform sample of at most `MAX_ROWS` valid rows.

    Raises:
        CatalogError: The source cannot be read, or has no valid row.
    """
    kept, rows_in, rejected, share = pd.DataFrame(), 0, 0, 1.0
    for batch in source.read_batches(0):
        checked = validate_rows(batch.rows)
        rows_in += batch.rows.num_rows + len(batch.malformed)
        rejected += checked.rejected.num_rows + len(batch.malformed)
        kept = pd.concat([kept, checked.valid.to_pandas().sample(frac=share, random_state=rows_in)])
        while len(kept) > MAX_ROWS:
            kept, share = kept.sample(frac=0.5, random_state=rows_in), share / 2
    if kept.empty:
        raise CatalogError(
            f"{source.name}: none of its {rows_in} rows is valid: see `skyclass ingest`"
        )
    return SourceSample(source.name, kept.reset_index(drop=True), rows_in, rejected)


def render_exploration(sample: SourceSample) -> str:
    """Render the exploration report as a self-contained page.

    Args:
        sample: The rows, with or without labels.
    """
    colours = make_features(sample.rows[list(MAGNITUDES)], Mode.PHOTOMETRIC)[:, :4]
    rows = sample.rows.assign(
        era=find_eras(sample.rows["mjd"]), **dict(zip(COLOURS, colours.T, strict=True))
    )
    labelled = rows[rows["class"].notna()]
    labels = [name for name in CLASSES if (rows["class"] == name).any()]
    optional = [name for name in OPTIONAL_COLUMNS if name in rows and rows[name].notna().any()]
    eras = [str(era) for era in Era if (rows["era"] == era).any()]
    releases = rows["release"].value_counts()
    return render_page(
        "exploration.html.j2",
        sample=sample,
        shown=len(rows),
        synthetic=int(releases[releases.index.map(is_synthetic)].sum()),
        unlabelled=len(rows) - len(labelled),
        releases=releases.items(),
        quantiles=list(_QUANTILES),
        columns=[_summarise(rows[name]) for name in ("mjd", *MEASUREMENTS, *COLOURS, *optional)],
        optional=[_summarise_optional(rows, group, labels) for group in InputGroup],
        labels=labels,
        group_columns=_GROUP_COLUMNS,
        classes=_summarise_groups(labelled.groupby("class"), CLASSES, len(labelled)),
        eras=_summarise_groups(rows.groupby("era"), eras, len(rows)),
        figures=[to_svg(figure) for figure in plot_exploration(rows, eras)],
    )


def _summarise(column: pd.Series) -> dict[str, object]:
    return {
        "name": column.name,
        "missing": int(column.isna().sum()),
        "missing_share": column.isna().mean(),
        "digits": 0 if column.name == "mjd" else 2,
        "quantiles": column.quantile(list(_QUANTILES.values())).tolist(),
    }


def _summarise_optional(
    rows: pd.DataFrame, group: InputGroup, labels: list[str]
) -> dict[str, object]:
    """Compute the share of rows that have each input of a group, of all rows and by class."""
    names = [name for name in GROUP_INPUTS[group] if name in rows]
    is_measured = rows[names].notna()
    by_class = is_measured.groupby(rows["class"]).mean().reindex(labels)
    return {
        "name": group,
        "columns": [
            {"name": name, "share": is_measured[name].mean(), "classes": by_class[name].tolist()}
            for name in names
            if is_measured[name].any()
        ],
    }


def _summarise_groups(groups: Any, names: Sequence[str], total: int) -> list[dict[str, object]]:
    """Compute rows, share, and the 5, 50 and 95 % quantiles of each column, by group."""
    summaries: list[dict[str, object]] = []
    for name in names:
        if name not in groups.groups:
            continue
        group = groups.get_group(name)
        quantiles = group[list(_GROUP_COLUMNS)].quantile([0.05, 0.5, 0.95])
        summaries.append(
            {
                "name": name,
                "rows": len(group),
                "share": len(group) / total,
                "quantiles": {column: quantiles[column].tolist() for column in _GROUP_COLUMNS},
            }
        )
    return summaries
