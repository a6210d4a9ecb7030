"""The pipelines in KFP's DSL: the order of the steps and their pods."""
