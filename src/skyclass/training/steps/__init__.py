"""The five steps of a training run. A pipeline component is a thin wrapper around one of them.

Each is a module of its own, so that a step only imports what it needs.
"""
