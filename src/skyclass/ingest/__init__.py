"""Ingest: row validation, expectations on training rows, and the ingest job."""
