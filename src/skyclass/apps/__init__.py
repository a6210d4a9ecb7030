"""The web applications: one shows what monitoring found, one asks the endpoint."""
