"""Runs of the compiled pipelines: on this machine, or on a Kubeflow Pipelines (KFP) backend.

No other package imports kfp. Importing a module here takes about a second.
"""
