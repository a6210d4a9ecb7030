"""The KFP step `train`."""
