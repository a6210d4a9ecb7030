"""The KFP step `publish`."""
