"""HTTP client of the predictor, for tables of any length."""

from skyclass.client.client import BATCH_ROWS, Client, RowError
from skyclass.client.rows import PREDICTION_COLUMNS, UNCERTAIN, list_columns, to_records

__all__ = [
    "BATCH_ROWS",
    "PREDICTION_COLUMNS",
    "UNCERTAIN",
    "Client",
    "RowError",
    "list_columns",
    "to_records",
]
