"""Measurements against the named peers, side by side in one run."""
