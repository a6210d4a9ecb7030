"""The five steps of a training run, one module each, so that a step imports only what it needs.

The pipeline components are thin wrappers around these functions.
"""
