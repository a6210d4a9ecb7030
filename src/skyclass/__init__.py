"""Classifies the objects of the Sloan Digital Sky Survey and keeps that classifier honest."""

__version__ = "0.1.0"
