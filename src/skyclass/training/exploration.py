"""The exploration report: what the rows of a source look like, by class and by era."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from skyclass.errors import CatalogError
from skyclass.ingest.validation import validate_rows
from skyclass.sources import Source
from skyclass.sources.simulated import is_synthetic
from skyclass.survey.features import FEATURES, MAGNITUDES, Mode, make_features
from skyclass.survey.observation import CLASSES, MEASUREMENTS, Era, find_eras
from skyclass.training.plots import STYLE, svg

MAX_ROWS = 100_000
"""More rows than this are sampled: the report shows shares and shapes."""

_COLOURS = FEATURES[Mode.PHOTOMETRIC][:4]
_POINTS = 6_000
_INK = dict(zip(CLASSES, ("#3451b2", "#c2410c", "#2b7a4b"), strict=True))
_TEMPLATES = Environment(
    loader=PackageLoader("skyclass.training", "."), autoescape=True, undefined=StrictUndefined
)


@dataclass(frozen=True)
class Sample:
    """Rows of a source.

    Attributes:
        name: The source.
        rows: Fit rows, columns `ROW_COLUMNS`; at most about `MAX_ROWS` of them.
        rows_in: How many rows the source has.
        rejected: How many of them are unfit.
    """

    name: str
    rows: pd.DataFrame
    rows_in: int
    rejected: int


def sample(source: Source) -> Sample:
    """Read a source and keep a fair share of it, whatever its size.

    Raises:
        CatalogError: The source cannot be read, or has no fit row.
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
            f"{source.name}: none of its {rows_in} rows is fit: see `skyclass ingest`"
        )
    return Sample(source.name, kept.reset_index(drop=True), rows_in, rejected)


def explore(given: Sample) -> str:
    """Render the report, a self-contained page.

    Args:
        given: The rows, labelled or not.
    """
    rows = _with_colours(given.rows)
    labelled = rows[rows["class"].notna()]
    eras = [str(era) for era in Era if (rows["era"] == era).any()]
    figures = [
        _histograms(labelled, MAGNITUDES, "Magnitudes (mag)", bins=np.arange(12, 27.1, 0.3)),
        _histograms(labelled, _COLOURS, "Colours (mag)", bins=np.arange(-1, 4.01, 0.1)),
        _colour_colour(labelled),
        _redshifts(labelled),
        _correlation(rows),
        _by_era(labelled, eras),
    ]
    return _TEMPLATES.get_template("exploration.html.j2").render(
        given=given,
        shown=len(rows),
        synthetic=int(rows["release"].map(is_synthetic).sum()),
        unlabelled=len(rows) - len(labelled),
        classes=_statistics(labelled.groupby("class"), CLASSES, len(labelled)),
        eras=_statistics(rows.groupby("era"), eras, len(rows)),
        missing={name: int(rows[name].isna().sum()) for name in MEASUREMENTS},
        columns=["r", *_COLOURS, "redshift"],
        figures=[svg(figure) for figure in figures],
    )


def _with_colours(rows: pd.DataFrame) -> pd.DataFrame:
    colours = make_features(rows[list(MAGNITUDES)], Mode.PHOTOMETRIC)[:, :4]
    return rows.assign(era=find_eras(rows["mjd"]), **dict(zip(_COLOURS, colours.T, strict=True)))


def _statistics(groups: Any, names: Sequence[str], total: int) -> list[dict[str, object]]:
    """Rows, share, and the 5, 50 and 95 % quantiles of each column, group by group."""
    found = []
    for name in names:
        if name not in groups.groups:
            continue
        group = groups.get_group(name)
        quantiles = group[["r", *_COLOURS, "redshift"]].quantile([0.05, 0.5, 0.95])
        found.append(
            {"name": name, "rows": len(group), "share": len(group) / total, "of": quantiles}
        )
    return found


def _histograms(rows: pd.DataFrame, names: Sequence[str], title: str, bins: np.ndarray) -> Figure:
    with rc_context(STYLE):
        figure = Figure(figsize=(2.4 * len(names), 2.5), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(names), sharey=True), names, strict=True):
            for label in CLASSES:
                values = rows.loc[rows["class"] == label, name].dropna()
                if len(values):
                    weights = np.full(len(values), 1 / len(values))
                    axes.hist(
                        values, bins, weights=weights, histtype="step", color=_INK[label],
                        linewidth=1.4, label=label,
                    )  # fmt: skip
            axes.set_xlabel(name)
        figure.suptitle(f"{title}, share of each class", x=0.01, ha="left", fontsize=11)
        handles = [Patch(edgecolor=ink, fill=False, label=name) for name, ink in _INK.items()]
        figure.axes[0].legend(handles=handles, frameon=False, fontsize=8, loc="upper left")
        return figure


def _colour_colour(rows: pd.DataFrame) -> Figure:
    points = rows.sample(min(_POINTS, len(rows)), random_state=0)
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 3.8), layout="constrained", dpi=110)
        pairs = pairwise(_COLOURS)
        for axes, (x, y) in zip(figure.subplots(1, 3), pairs, strict=True):
            axes.scatter(
                points[x], points[y], s=2, alpha=0.4, linewidths=0, rasterized=True,
                c=points["class"].map(_INK),
            )  # fmt: skip
            axes.set(xlabel=x, ylabel=y, xlim=(-1, 4), ylim=(-1, 3))
        for label in CLASSES:
            figure.axes[0].scatter([], [], s=14, color=_INK[label], label=label)
        figure.axes[0].legend(frameon=False, fontsize=8, loc="upper left")
        figure.suptitle(f"Colour-colour, {len(points):,} objects", x=0.01, ha="left", fontsize=11)
        return figure


def _redshifts(rows: pd.DataFrame) -> Figure:
    with rc_context(STYLE):
        figure = Figure(figsize=(4.4, 2.9), layout="constrained")
        axes = figure.subplots()
        bins = np.linspace(-0.01, 0.95, 60).tolist()
        for label in CLASSES:
            values = np.log10(1 + rows.loc[rows["class"] == label, "redshift"].dropna())
            if len(values):
                weights = np.full(len(values), 1 / len(values))
                axes.hist(
                    values, bins, weights=weights, histtype="step",
                    color=_INK[label], linewidth=1.4, label=label,
                )  # fmt: skip
        ticks = [0, 0.2, 0.5, 1, 2, 4, 7]
        axes.set_xticks(np.log10(1 + np.array(ticks)), [f"{tick:g}" for tick in ticks])
        axes.set_yscale("log")
        axes.set_xlabel("redshift (in steps of log(1 + z))")
        axes.set_title("Redshift, share of each class")
        axes.legend(frameon=False, fontsize=8)
        return figure


def _correlation(rows: pd.DataFrame) -> Figure:
    names = [*MAGNITUDES, *_COLOURS, "redshift"]
    matrix = rows[names].corr(method="spearman").to_numpy()
    with rc_context(STYLE):
        figure = Figure(figsize=(4.4, 3.9), layout="constrained")
        axes = figure.subplots()
        axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
        for (row, column), value in np.ndenumerate(matrix):
            ink = "white" if abs(value) > 0.6 else "black"
            axes.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=7, color=ink)
        axes.set_xticks(range(len(names)), names, rotation=60, fontsize=8)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_title("Rank correlation (Spearman)")
        return figure


def _by_era(rows: pd.DataFrame, eras: Sequence[str]) -> Figure:
    shares = rows.groupby("era")["class"].value_counts(normalize=True).unstack(fill_value=0)
    with rc_context(STYLE):
        figure = Figure(figsize=(4.4, 2.9), layout="constrained")
        axes = figure.subplots()
        left = np.zeros(len(eras))
        for label in CLASSES:
            values = shares.reindex(index=list(eras), columns=list(CLASSES), fill_value=0)[
                label
            ].to_numpy()
            axes.barh(eras, values, left=left, color=_INK[label], label=label)
            left = left + values
        axes.set_xlim(0, 1)
        axes.invert_yaxis()
        axes.set_title("Classes by survey era")
        axes.legend(
            frameon=False, fontsize=8, ncols=3, loc="lower center", bbox_to_anchor=(0.5, -0.4)
        )
        return figure
