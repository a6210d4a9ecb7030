"""The prediction log: one row per predicted object, as Parquet files by hour."""
