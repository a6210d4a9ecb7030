"""What a published catalogue says about itself."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata

from skyclass.registry.releases import Release
from skyclass.settings import Settings
from skyclass.tables.catalogue.fields import Parameter
from skyclass.tables.observations import ObservationsTable

DEFAULT_LICENCE = "CC0-1.0"
"""SPDX identifier: the data of the survey are in the public domain as well."""

_SURVEY = {
    "is_derived_from": "2022ApJS..259...35A",  # the paper of the last data release, DR17
    "reference_url": "https://www.sdss.org/dr17/",
    "acknowledgement": "Data of the Sloan Digital Sky Survey; wording and funding: "
    "https://www.sdss.org/collaboration/citing-sdss/",
}
_SIMULATED = {"note": "The model was trained on simulated objects: practise with it, cite nothing"}


@dataclass(frozen=True)
class Publication:
    """What a catalogue says about its publication.

    Attributes:
        creator: Who made it; None for nobody.
        licence: Licence of the predictions.
        data_release: Data release of the survey that the model was trained on; None for that of the
            training rows.
    """

    creator: str | None = None
    licence: str = DEFAULT_LICENCE
    data_release: str | None = None


def list_facts(
    settings: Settings, release: Release, rows: int, publication: Publication
) -> dict[str, Parameter]:
    """Return the facts about a catalogue, under the names of IVOA's Data Origin where it has one.

    Args:
        settings: Location of the observations table.
        release: The release that predicted.
        rows: Number of objects.
        publication: The facts that only a person knows.

    Raises:
        StoreError: The object store failed.
    """
    training_set = release.manifest.training_set
    facts: dict[str, Parameter] = {
        "model_release": release.id,
        "mode": str(release.mode),
        "model_metrics": _describe_metrics(release),
        "data_release": publication.data_release or _find_data_release(settings, release),
        "publication_date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        "creator": publication.creator or "",
        "rights": publication.licence,
        "row_count": rows,
        "server_software": f"skyclass {metadata.version('skyclass')}",
        **(_SIMULATED if training_set.synthetic_rows == training_set.rows else _SURVEY),
    }
    return {key: value for key, value in facts.items() if value != ""}


def make_metadata(release: Release, facts: dict[str, Parameter]) -> dict[str, str]:
    """Return the metadata of the catalogue's schema: its name, description and facts."""
    return {
        "name": f"skyclass_{release.mode}",
        "description": f"Classes of {facts['row_count']} objects, predicted by release "
        f"{release.id[:12]} of the {release.mode} model of skyclass",
        "meta": json.dumps(facts),
    }


def _find_data_release(settings: Settings, release: Release) -> str:
    """Return the data releases of the training rows; empty if their table is somewhere else."""
    table, training_set = ObservationsTable(settings), release.manifest.training_set
    if training_set.table != table.uri:
        return ""
    return " ".join(table.list_data_releases(training_set.version))


def _describe_metrics(release: Release) -> str:
    return "; ".join(
        f"{split}: accuracy {each.accuracy:.4f}, macro-F1 {each.macro_f1:.4f}, {each.rows} rows"
        for split, each in release.manifest.metrics.items()
    )
