"""The monitor page: what has been found, measured and decided, for people and for Prometheus."""
