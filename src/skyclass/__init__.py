"""Classifies the objects of the Sloan Digital Sky Survey and keeps that classifier honest."""

import os

# ONNX Runtime sends telemetry to Microsoft unless this is set before its import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.2.0"
