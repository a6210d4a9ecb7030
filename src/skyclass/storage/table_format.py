"""The format of Delta tables: schema, partitions, and what their transactions mean."""

from deltalake import DeltaTable

from skyclass.storage.formats import FIRST_VERSION, PROPERTY, Format

TABLE_FORMAT = Format("table", "0.2.0")


def check_table(table: DeltaTable) -> None:
    """Check that this version of skyclass reads a table.

    Raises:
        NewerFormatError: A newer version of skyclass has introduced its format.
    """
    found = table.metadata().configuration.get(PROPERTY) or FIRST_VERSION
    TABLE_FORMAT.check(found, table.table_uri)
