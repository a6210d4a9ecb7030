"""The KFP step `ingest`."""
