"""Stored tables: observations, the prediction log, predictions, and tables kept by users."""

__all__ = ["OBSERVATIONS_URI"]

OBSERVATIONS_URI = "table:"
"""URI of the observations table, wherever a source URI is accepted."""
