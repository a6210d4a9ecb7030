"""The steps of the pipelines, one KFP component a folder."""
