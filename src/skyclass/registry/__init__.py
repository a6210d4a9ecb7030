"""The model registry: immutable releases, their manifests and signatures, and loading a model."""
