"""The KFP step `evaluate`."""
