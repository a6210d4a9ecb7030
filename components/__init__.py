"""Steps of the pipelines: one KFP component per folder."""
