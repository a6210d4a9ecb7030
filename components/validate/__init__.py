"""The KFP step `validate`."""
