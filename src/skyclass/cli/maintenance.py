"""Commands for stored data: `maintain` and `verify`."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from skyclass.cli.options import AsJson
from skyclass.cli.output import err, print_result
from skyclass.errors import StoreError
from skyclass.settings import load, load_settings

app = typer.Typer()
_PANEL = "Data"


@app.command(rich_help_panel=_PANEL)
def maintain(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Report what would be done, and change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Merge the prediction log, delete expired data, and compact and vacuum the tables.

    The variables SKYCLASS_MAINTAIN_LOG_DAYS, _REPORT_DAYS and _REJECTED_DAYS set how long data are
    kept, by default for ever, and _VERSION_DAYS how long versions of tables that no release was
    trained on, by default 7.
    """
    from skyclass.maintenance.job import maintain as run_maintenance
    from skyclass.maintenance.settings import MaintenanceSettings
    from skyclass.storage.s3 import ObjectStore

    options, store = load(MaintenanceSettings), ObjectStore(load_settings())
    with err.status("maintaining the stored data"):
        result = run_maintenance(store, options, datetime.now(UTC), dry_run)
    print_result(asdict(result), as_json)


@app.command(rich_help_panel=_PANEL)
def verify(as_json: AsJson = False) -> None:
    """Check that a store is whole, for example a backup: all that it refers to is there.

    Reads all files of all releases and compares their digests; reads promotions, approvals and the
    documents of windows; looks for the files of tables and of the merged prediction log.
    """
    from skyclass.admin.verify import verify_store
    from skyclass.storage.s3 import ObjectStore

    with err.status("verifying the store"):
        found = verify_store(ObjectStore(load_settings()))
    if as_json or not found.problems:
        print_result(asdict(found) | {"problems": list(found.problems)}, as_json)
    if found.problems:
        raise StoreError(
            f"the store is not whole: problem 1 of {len(found.problems)} is {found.problems[0]}; "
            "restore what is missing (docs/backup.md)"
        )
