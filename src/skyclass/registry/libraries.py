"""Versions of the libraries that the model files of a release depend on."""

from importlib import metadata
from platform import python_version

_LIBRARIES = ("joblib", "numpy", "onnx", "onnxruntime", "scikit-learn", "skl2onnx")


def get_library_versions() -> dict[str, str]:
    """Return the installed versions of Python and of the libraries, as manifests record them."""
    return {"python": python_version(), **{name: metadata.version(name) for name in _LIBRARIES}}
