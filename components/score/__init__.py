"""The KFP step `score`."""
