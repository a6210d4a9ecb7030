"""Object storage and Delta Lake primitives, independent of the survey."""
