"""The prediction page: one object, or a table of them, through the endpoint."""
