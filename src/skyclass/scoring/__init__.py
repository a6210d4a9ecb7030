"""Batch scoring: predict the class of every object of a table, once per release."""
