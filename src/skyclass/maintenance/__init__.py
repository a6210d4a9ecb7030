"""Maintenance of stored data: merging, compaction, and deletion of what nothing needs any more."""
