"""What a newer version of skyclass has stored is rejected: the error names the version to use."""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

import skyclass
from skyclass.errors import NewerFormatError
from skyclass.maintenance.tables import maintain_table
from skyclass.monitoring.documents import load_documents, window_prefix
from skyclass.monitoring.stored_sample import load_sample
from skyclass.monitoring.verdict import DriftVerdict
from skyclass.notifications.records import RecordStore
from skyclass.promotion.approvals import ApprovalLog
from skyclass.promotion.events import PromotionLog
from skyclass.registry.digests import compute_digest
from skyclass.registry.documents import StoredDocument
from skyclass.registry.releases import Registry
from skyclass.storage.delta_options import make_storage_options
from skyclass.storage.formats import FIELD, FIRST_VERSION, PROPERTY, Format
from skyclass.storage.s3 import ObjectStore
from skyclass.storage.table_format import TABLE_FORMAT
from skyclass.survey.features import Mode
from skyclass.tables.log.layout import HourIndex, make_hour_prefix, read_index
from skyclass.tables.log.read import read_log
from skyclass.tables.log.schema import LOG_FORMAT, LOG_SCHEMA, REFERENCE_FORMAT, read_reference
from skyclass.tables.observations import SPEC, ObservationsTable

SOURCES = Path(skyclass.__file__).parent
NEWER = "9.0.0"
MODE = Mode.PHOTOMETRIC
HOUR = datetime(2026, 5, 1, 7, tzinfo=UTC)
DOCUMENT = f'{{"{FIELD}": "{NEWER}", "a field of the future": 1}}'.encode()
WRITERS = {
    "ingest/job.py": "rejected rows",
    "maintenance/merge.py": "merged files, and the index of an hour",
    "monitoring/documents.py": "documents of windows",
    "monitoring/drift_job.py": "report and snapshot, which are Evidently's",
    "monitoring/stored_sample.py": "the sample of a window",
    "notifications/records.py": "records of messages",
    "promotion/approvals.py": "requests for approval and decisions",
    "promotion/events.py": "promotion events",
    "registry/releases.py": "releases, whose manifest lists the files",
    "sources/skyserver/client.py": "responses of SkyServer, which are its own",
    "storage/formats.py": "Parquet files with a format",
    "storage/data_files.py": "data files of a table, which has a format",
    "maintenance/sorting.py": "temporary files of one process",
    "scoring/export.py": "catalogues of users",
    "tables/classified.py": "catalogues of users",
    "tables/log/write.py": "files of the prediction log",
}
"""Modules that write objects or Parquet files, with what they write. All with a format is found
below; what has none has a reason."""


def list_modules() -> Iterator[object]:
    for module in pkgutil.walk_packages(skyclass.__path__, "skyclass."):
        if not module.name.endswith("__main__"):
            yield importlib.import_module(module.name)


def list_kinds() -> list[type[StoredDocument]]:
    """Return the classes of all documents that are stored."""
    kinds, unvisited = [], [StoredDocument]
    while unvisited:
        children = unvisited.pop().__subclasses__()
        kinds += [kind for kind in children if not kind.__subclasses__()]
        unvisited += children
    return sorted(kinds, key=lambda kind: kind.__name__)


def list_formats() -> list[Format]:
    """Return the formats of what is not a document."""
    values = [value for module in MODULES for value in vars(module).values()]
    formats = {value for value in values if isinstance(value, Format)}
    return sorted(formats, key=lambda each: each.content)


MODULES = list(list_modules())


@pytest.mark.parametrize("kind", list_kinds(), ids=lambda kind: kind.__name__)
def test_each_document_has_a_format_and_a_newer_one_is_rejected(kind: type[StoredDocument]) -> None:
    assert isinstance(vars(kind).get("stored_format"), Format), "declare its format"
    with pytest.raises(NewerFormatError, match=f"^key: this .+; upgrade to at least {NEWER}$"):
        kind.model_validate_json(DOCUMENT, context={"where": "key"})


@pytest.mark.parametrize("form", list_formats(), ids=lambda form: form.content)
def test_a_newer_format_is_rejected_and_an_older_one_is_read(form: Format, tmp_path: Path) -> None:
    found = {}
    for version in (FIRST_VERSION, form.version, NEWER):
        Format(form.content, version).write_parquet(pa.table({"a": [1]}), tmp_path / version)
        found[version] = pq.read_metadata(tmp_path / version)
    form.check_parquet(found[FIRST_VERSION], "key")
    form.check_parquet(found[form.version], "key")
    with pytest.raises(NewerFormatError, match=r"^key: this .+ by a newer version") as error:
        form.check_parquet(found[NEWER], "key")
    assert form.content in str(error.value)


def test_no_format_is_newer_than_this_version() -> None:
    documents = [kind.stored_format for kind in list_kinds()]
    for form in (*documents, *list_formats()):
        Format("", skyclass.__version__).check(form.version, form.content)


def test_each_module_that_stores_something_is_known() -> None:
    write = re.compile(r"store\.(put|upload)\(|\.to_parquet\(|\b(write_table|ParquetWriter)\(")
    found = {
        path.relative_to(SOURCES).as_posix()
        for path in SOURCES.rglob("*.py")
        if write.search(path.read_text())
    }
    assert found - {"maintenance/merged_file.py"} == WRITERS.keys(), (
        "give what it stores a format, and add it here"
    )


def test_what_is_written_names_its_format(store: ObjectStore) -> None:
    event = PromotionLog(store).append(MODE, None, "a" * 64, "for a test", "test")
    assert event.to_bytes().startswith(b'{\n  "format": "0.2.0",\n')
    assert PromotionLog(store).list_promotions(MODE) == [event]
    table = ObservationsTable(store.settings)
    table.merge(SPEC.schema.empty_table(), always_commit=True)
    assert open_table(store).metadata().configuration[PROPERTY] == TABLE_FORMAT.version


def open_table(store: ObjectStore) -> DeltaTable:
    uri = f"s3://{store.settings.data_bucket}/{SPEC.prefix}"
    return DeltaTable(uri, storage_options=make_storage_options(store.settings))


def encode(form: Format, rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    Format(form.content, NEWER).write_parquet(rows, sink)
    return bytes(sink.getvalue())


def list_promotions(store: ObjectStore) -> None:
    key = f"promotions/{MODE}/20260501T000000.000000Z-{'a' * 64}.json"
    store.put(store.settings.models_bucket, key, DOCUMENT, "")
    PromotionLog(store).list_promotions(MODE)


def list_approvals(store: ObjectStore) -> None:
    key = f"promotions/approvals/{MODE}/{'a' * 64}/request.json"
    store.put(store.settings.models_bucket, key, DOCUMENT, "")
    ApprovalLog(store).list_approvals(MODE, None)


def list_releases(store: ObjectStore) -> None:
    key = f"releases/{MODE}/{compute_digest(DOCUMENT)}/manifest.json"
    store.put(store.settings.models_bucket, key, DOCUMENT, "")
    Registry(store).list_releases(MODE)


def load_verdicts(store: ObjectStore) -> None:
    key = window_prefix(MODE, HOUR) + DriftVerdict.file_name
    store.put(store.settings.reports_bucket, key, DOCUMENT, "")
    load_documents(store, DriftVerdict, MODE)


def find_record(store: ObjectStore) -> None:
    store.put(store.settings.reports_bucket, "notifications/a.json", DOCUMENT, "")
    RecordStore(store).find("a")


def read_hour_index(store: ObjectStore) -> None:
    prefix = make_hour_prefix(HOUR)
    store.put(store.settings.logs_bucket, prefix + HourIndex.file_name, DOCUMENT, "")
    read_index(store, prefix)


def read_log_hour(store: ObjectStore) -> None:
    data = encode(LOG_FORMAT, LOG_SCHEMA.empty_table())
    store.put(store.settings.logs_bucket, f"{make_hour_prefix(HOUR)}a.parquet", data, "")
    read_log(store, HOUR, HOUR.replace(hour=8), MODE, "a" * 64)


def read_sample(store: ObjectStore) -> None:
    verdict = cast(DriftVerdict, SimpleNamespace(mode=MODE, window_end=HOUR))
    key = f"{window_prefix(MODE, HOUR)}sample.parquet"
    data = encode(LOG_FORMAT, LOG_SCHEMA.empty_table())
    store.put(store.settings.reports_bucket, key, data, "")
    load_sample(store, verdict)


def read_reference_rows(store: ObjectStore) -> None:
    read_reference(encode(REFERENCE_FORMAT, pa.table({"a": [1]})))


def make_newer_table(store: ObjectStore) -> ObservationsTable:
    table = ObservationsTable(store.settings)
    table.merge(SPEC.schema.empty_table(), always_commit=True)
    open_table(store).alter.set_table_properties({PROPERTY: NEWER}, raise_if_not_exists=False)
    return ObservationsTable(store.settings)


def read_table(store: ObjectStore) -> None:
    make_newer_table(store).version()


def write_table(store: ObjectStore) -> None:
    make_newer_table(store).merge(SPEC.schema.empty_table(), always_commit=True)


def maintain(store: ObjectStore) -> None:
    make_newer_table(store)
    maintain_table(store, SPEC.prefix, (), 7, dry_run=False)


@pytest.mark.parametrize(
    "read",
    [
        list_promotions, list_approvals, list_releases, load_verdicts, find_record, read_hour_index,
        read_log_hour, read_sample, read_reference_rows, read_table, write_table, maintain,
    ],
    ids=lambda read: read.__name__,
)  # fmt: skip
def test_readers_reject_what_a_newer_version_has_stored(
    read: Callable[[ObjectStore], None], store: ObjectStore
) -> None:
    with pytest.raises(NewerFormatError, match=f"upgrade to at least {NEWER}$") as error:
        read(store)
    assert "\n" not in str(error.value)
