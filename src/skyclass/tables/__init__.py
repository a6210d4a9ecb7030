"""Stored tables: observations, the prediction log, batch predictions; and users' files."""
