"""Batch scoring: a release's answers for whole tables, each object once."""
