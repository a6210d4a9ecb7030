"""The pipelines: only wiring. What a step does is in `skyclass.training.steps`."""
