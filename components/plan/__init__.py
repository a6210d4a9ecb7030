"""The KFP step `plan`."""
